// Credentials → Principal, for all borders.

import { toAccountName } from './account-name.ts'
import { createLiveAccounts, type Entry, type LiveAccounts } from './auth/live-accounts.ts'
import type { LoginGuard } from './auth/login-guard.ts'
import { createLogins, type Logins } from './auth/logins.ts'
import { createPasswordCheck } from './auth/password-check.ts'
import { falseVerifiers, preparePassword } from './auth/scram.ts'
import { createTokens, type Tokens } from './auth/tokens.ts'
import { BrokerError } from './errors.ts'
import type { Events } from './happening.ts'
import type { Logger } from './log.ts'
import type { AccountStore, ChangeStore, RefreshTokenStore, SecretStore } from './stores.ts'
import type { Authenticator, Login, Origin, Principal, TokenPair } from './types.ts'

/** An MQTT client without a user name, where that is allowed. */
export const anonymous: Principal = Object.freeze({ account: 0, name: '', role: 'user', plainTopics: 'all', epoch: 0 })

export interface RunningAuthenticator extends Authenticator {
  /** Takes over changes of accounts now instead of within a second; for who has just made one. */
  refresh(): Promise<void>
  /** Tells of deleted accounts, after their connections have ended. The listener must not throw. */
  onDeleted(listener: (account: number) => void): void
  /** Forgets and removes logins that are long over; now and then. */
  sweep(): Promise<void>
  stop(): Promise<void>
}

type Deps = Readonly<{
  accounts: AccountStore
  changes: ChangeStore
  secrets: SecretStore
  refreshTokens: RefreshTokenStore
  domain: string
  /** Null: this installation's own. */
  jwtSecret: string | null
  guard: LoginGuard
  events: Events
  logger: Logger
}>

const pollMs = 1000

/** Running when the promise is fulfilled: it watches the accounts for changes until `stop`. */
export async function createAuthenticator(deps: Deps): Promise<RunningAuthenticator> {
  const { accounts, changes, secrets, domain, refreshTokens, guard, events, logger } = deps
  const [decoySecret, ownSecret, changesSeen] = await Promise.all([
    secrets.getOrCreate('decoy', 32),
    secrets.getOrCreate('jwt', 32),
    changes.last('accounts'),
  ])
  const tokens = createTokens({ secret: deps.jwtSecret === null ? ownSecret : Buffer.from(deps.jwtSecret), domain })
  const logins = await createLogins({ store: refreshTokens, tokens, logger })
  const onDeleted: ((account: number) => void)[] = []
  const live = createLiveAccounts({
    accounts,
    changes,
    changesSeen,
    onLogout: logins.ended,
    onDeleted: (account) => {
      for (const listener of onDeleted) listener(account)
    },
    logger,
  })
  const isPassword = createPasswordCheck(live, decoySecret)
  const readToken = createTokenCheck(live, logins, tokens)
  const { demandTry, tried } = createTries({ guard, events, domain })

  async function password(username: string, secret: string, origin: Origin): Promise<Principal | null> {
    const name = toAccountName(username, domain)
    const prepared = preparePassword(secret)
    const demand = () => demandTry(username, origin)
    demand()
    const entry = name === null || prepared === null ? null : await isPassword(name, prepared, demand)
    tried(username, origin, entry?.principal ?? null)
    return entry?.principal ?? null
  }

  return {
    password,
    async login(username, secret, origin) {
      demandTry(username, origin)
      const login = looksLikeToken(secret) ? await readToken(secret) : null
      if (!login) {
        const principal = await password(username, secret, origin)
        return principal && { principal, session: null }
      }
      const agrees = login.principal.name === toAccountName(username, domain)
      tried(username, origin, agrees ? login.principal : null)
      return agrees ? login : null
    },

    async verifiers(username) {
      const name = toAccountName(username, domain)
      const entry = name === null ? null : await live.load(name)
      if (!entry) return { verifiers: falseVerifiers(decoySecret, name ?? username), principal: null }
      return { verifiers: entry.account.verifiers, principal: entry.principal }
    },
    demandTry,
    tried,

    principal(account, name) {
      const known = live.known(account)
      if (known) return known.principal
      return live.load(name).then((entry) => (entry?.account.id === account ? entry.principal : null))
    },
    ...createLoginSessions({ live, logins, events }),
    token: readToken,
    onEnd: (principal, end, session = null) => registerEnd({ live, logins, principal, session }, end),
    refresh: live.refresh,
    onDeleted: (listener) => void onDeleted.push(listener),
    async sweep() {
      guard.sweep()
      logins.sweep()
      await refreshTokens.prune()
    },
    stop: watch(live, logger),
  }
}

/** The guard and the events round each login, whatever its mechanism. */
function createTries({ guard, events, domain }: Pick<Deps, 'guard' | 'events' | 'domain'>) {
  const nameOf = (username: string) => toAccountName(username, domain)
  return {
    demandTry: (username: string, { address }: Origin) => guard.demand(address, nameOf(username) ?? ''),
    tried(username: string, origin: Origin, principal: Principal | null): void {
      const name = nameOf(username)
      if (principal) {
        guard.succeeded(origin.address, principal.name)
        events.record({ action: 'login.succeeded', ...origin, account: principal.account, name: principal.name })
        return
      }
      events.record({ action: 'login.failed', ...origin, name })
      if (guard.failed(origin.address, name ?? '')) events.record({ action: 'login.held', ...origin, name })
    },
  }
}

/** Logins over HTTP, with the events that are told of them. */
function createLoginSessions({
  live,
  logins,
  events,
}: Readonly<{ live: LiveAccounts; logins: Logins; events: Events }>) {
  return {
    async openLogin(principal: Principal): Promise<TokenPair> {
      const entry = live.known(principal.account) ?? (await live.load(principal.name))
      if (!entry || entry.account.id !== principal.account) throw new BrokerError('unauthenticated')
      return logins.open(entry.account)
    },

    async refreshLogin(refreshToken: string, origin: Origin): Promise<TokenPair | null> {
      const refreshed = await logins.refresh(refreshToken)
      if (refreshed && !refreshed.pair) {
        const { account, name } = refreshed.login
        events.record({ action: 'token.reused', ...origin, account, name })
      }
      return refreshed?.pair ?? null
    },

    async endLogin({ principal: { account, name }, session }: Login, origin: Origin): Promise<void> {
      if (session === null) return
      await logins.end(session)
      events.record({ action: 'login.ended', ...origin, account, name })
    },
  }
}

/** Three parts in base64url, the first of which is JSON: a password may look so, too. */
function looksLikeToken(secret: string): boolean {
  return /^eyJ[\w-]+\.[\w-]+\.[\w-]+$/.test(secret)
}

function createTokenCheck(live: LiveAccounts, logins: Logins, tokens: Tokens) {
  return async (accessToken: string): Promise<Login | null> => {
    const claims = await tokens.read(accessToken)
    if (!claims) return null
    const entry = live.known(claims.account) ?? (await live.load(claims.name))
    if (!entry || !isCurrent(entry, claims) || logins.isEnded(claims.session)) return null
    return { principal: entry.principal, session: claims.session }
  }
}

function isCurrent({ account }: Entry, claims: Readonly<{ account: number; credentialVersion: number }>): boolean {
  return account.id === claims.account && account.credentialVersion === claims.credentialVersion
}

type Ending = Readonly<{ live: LiveAccounts; logins: Logins; principal: Principal; session: string | null }>

function registerEnd({ live, logins, principal, session }: Ending, end: () => void): () => void {
  if (principal.account === anonymous.account) return () => undefined
  const entry = live.known(principal.account)
  if (entry?.principal !== principal || (session !== null && logins.isEnded(session))) {
    // The account or the login went while the connection was being made; the caller must hear of it after this call.
    queueMicrotask(end)
    return () => undefined
  }
  let undoLogin = (): void => undefined
  // A function of our own: the same `end` may be registered twice.
  const once = () => {
    undo()
    end()
  }
  const undo = () => {
    entry.ends.delete(once)
    undoLogin()
  }
  entry.ends.add(once)
  if (session !== null) undoLogin = logins.onEnd(session, once)
  return undo
}

function watch(live: LiveAccounts, logger: Logger): () => Promise<void> {
  let running: Promise<void> | null = null
  let hasFailed = false
  const poll = async () => {
    try {
      await live.refresh()
      hasFailed = false
    } catch (err) {
      if (!hasFailed) logger.warn({ err }, 'changes of accounts cannot be read; trying on')
      hasFailed = true
    }
  }
  const timer = setInterval(() => {
    running ??= poll().finally(() => {
      running = null
    })
  }, pollMs).unref()
  return async () => {
    clearInterval(timer)
    await running
  }
}
