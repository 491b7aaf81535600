// Credentials → Principal, for all borders.

import { toAccountName } from './account-name.ts'
import { createCredentials } from './auth/credentials.ts'
import { createExpiries, type Expiries } from './auth/expiries.ts'
import type { ExternalTokens } from './auth/external-tokens.ts'
import { createLiveAccounts, type LiveAccounts } from './auth/live-accounts.ts'
import type { LoginGuard } from './auth/login-guard.ts'
import { createLogins, type Logins } from './auth/logins.ts'
import { createPasswordCheck } from './auth/password-check.ts'
import { falseVerifiers } from './auth/scram.ts'
import { createTokenCheck } from './auth/token-check.ts'
import { createTokens } from './auth/tokens.ts'
import { createTries } from './auth/tries.ts'
import { BrokerError } from './errors.ts'
import type { Events } from './happening.ts'
import type { Logger } from './log.ts'
import type { AccountStore, ChangeStore, DeletedAccount, RefreshTokenStore, SecretStore } from './stores.ts'
import type { Authenticator, Login, Origin, Principal, TokenPair } from './types.ts'

/** An MQTT client without a user name, where that is allowed. */
export const anonymous: Principal = Object.freeze({ account: 0, name: '', role: 'user', plainTopics: 'all', epoch: 0 })

export interface RunningAuthenticator extends Authenticator {
  /** Takes over changes of accounts now instead of within a second; for who has just made one. */
  refresh(): Promise<void>
  /** Tells of deleted accounts, after their connections have ended. The listener must not throw. */
  onDeleted(listener: (deleted: DeletedAccount) => void): void
  /** Ends the connections whose tokens have expired; once a second. */
  endExpired(): void
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
  external: ExternalTokens
  guard: LoginGuard
  events: Events
  logger: Logger
}>

const pollMs = 1000

/** Running when the promise is fulfilled: it watches the accounts for changes until `stop`. */
export async function createAuthenticator(deps: Deps): Promise<RunningAuthenticator> {
  const { accounts, changes, secrets, domain, refreshTokens, guard, events, external, logger } = deps
  const [decoySecret, ownSecret, changesSeen] = await Promise.all([
    secrets.getOrCreate('decoy', 32),
    secrets.getOrCreate('jwt', 32),
    changes.last('accounts'),
  ])
  const tokens = createTokens({ secret: deps.jwtSecret === null ? ownSecret : Buffer.from(deps.jwtSecret), domain })
  const logins = await createLogins({ store: refreshTokens, tokens, logger })
  const onDeleted: ((deleted: DeletedAccount) => void)[] = []
  const live = createLiveAccounts({
    accounts,
    changes,
    changesSeen,
    onLogout: logins.ended,
    onDeleted: (deleted) => {
      for (const listener of onDeleted) listener(deleted)
    },
    logger,
  })
  const isPassword = createPasswordCheck(live, decoySecret)
  const checkToken = createTokenCheck({ live, logins, tokens, external })
  const expiries = createExpiries({ logger })
  const tries = createTries({ guard, events, domain })

  return {
    ...createCredentials({ isPassword, checkToken, tries, domain }),

    async verifiers(username) {
      const name = toAccountName(username, domain)
      const entry = name === null ? null : await live.load(name)
      if (!entry) return { verifiers: falseVerifiers(decoySecret, name ?? username), principal: null }
      return { verifiers: entry.account.verifiers, principal: entry.principal }
    },
    demandTry: tries.demandTry,
    tried: tries.tried,

    principal(account, name) {
      const known = live.known(account)
      if (known) return known.principal
      return live.load(name).then((entry) => (entry?.account.id === account ? entry.principal : null))
    },
    ...createLoginSessions({ live, logins, events }),
    onEnd: (principal, end, login) =>
      registerEnd({ live, logins, expiries, ...(login ?? { principal, session: null, expiresAt: null }) }, end),
    endExpired: expiries.sweep,
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
      if (session === null) throw new BrokerError('forbidden', 'This token is ended by its issuer, not here.')
      await logins.end(session)
      events.record({ action: 'login.ended', ...origin, account, name })
    },
  }
}

type Ending = Login & Readonly<{ live: LiveAccounts; logins: Logins; expiries: Expiries }>

function registerEnd(
  { live, logins, expiries, principal, session, expiresAt }: Ending,
  end: (isGone: boolean) => void,
): () => void {
  if (principal.account === anonymous.account) return () => undefined
  const entry = live.known(principal.account)
  const isOver = (session !== null && logins.isEnded(session)) || (expiresAt !== null && expiresAt <= Date.now())
  if (entry?.principal !== principal || isOver) {
    // The account or the login went while the connection was being made; the caller must hear of it after this call.
    queueMicrotask(() => end(entry === undefined))
    return () => undefined
  }
  const undos: (() => void)[] = []
  const undo = () => {
    for (const each of undos) each()
  }
  // A function of our own: the same `end` may be registered twice.
  const once = (isGone: boolean) => {
    undo()
    end(isGone)
  }
  const onceOver = () => once(false)
  entry.ends.add(once)
  undos.push(() => entry.ends.delete(once))
  if (session !== null) undos.push(logins.onEnd(session, onceOver))
  if (expiresAt !== null) undos.push(expiries.onEnd(expiresAt, onceOver))
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
