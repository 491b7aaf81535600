// Credentials → Principal, for all borders.
import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto'
import { toAccountName } from './account-name.ts'
import { createGate } from './auth/gate.ts'
import { createLiveAccounts, type Entry, type LiveAccounts } from './auth/live-accounts.ts'
import { falseVerifiers, matchesVerifiers, preparePassword } from './auth/scram.ts'
import { createTokens } from './auth/tokens.ts'
import { BrokerError } from './errors.ts'
import type { Logger } from './log.ts'
import type { Counters } from './metrics.ts'
import type { AccountStore, ChangeStore, SecretStore } from './stores.ts'
import type { Authenticator, Principal } from './types.ts'

/** An MQTT client without a user name, where that is allowed. */
export const anonymous: Principal = Object.freeze({ account: 0, name: '', role: 'user', plainTopics: 'all', epoch: 0 })

export interface RunningAuthenticator extends Authenticator {
  /** Takes over changes of accounts now instead of within a second; for who has just made one. */
  refresh(): Promise<void>
  stop(): Promise<void>
}

type Deps = Readonly<{
  accounts: AccountStore
  changes: ChangeStore
  secrets: SecretStore
  domain: string
  /** Null: this installation's own. */
  jwtSecret: string | null
  counters: Counters
  logger: Logger
}>

// DESIGN §3. Two of the thread pool's four threads stay free for files and names.
const verifications = { running: 2, waiting: 256 }
const proofLifetimeMs = 10 * 60_000
const pollMs = 1000

/** Running when the promise is fulfilled: it watches the accounts for changes until `stop`. */
export async function createAuthenticator(deps: Deps): Promise<RunningAuthenticator> {
  const { accounts, changes, secrets, domain, logger } = deps
  const [decoySecret, ownSecret, changesSeen] = await Promise.all([
    secrets.getOrCreate('decoy', 32),
    secrets.getOrCreate('jwt', 32),
    changes.last('accounts'),
  ])
  const live = createLiveAccounts({ accounts, changes, changesSeen, logger })
  const tokens = createTokens({ secret: deps.jwtSecret === null ? ownSecret : Buffer.from(deps.jwtSecret), domain })
  const isPassword = createPasswordCheck(live, decoySecret)
  const stop = watch(live, logger)

  return {
    async password(username, password) {
      const name = toAccountName(username, domain)
      const prepared = preparePassword(password)
      const entry = name === null || prepared === null ? null : await isPassword(name, prepared)
      if (!entry) deps.counters.loginFailures++
      return entry?.principal ?? null
    },

    async verifiers(username) {
      const name = toAccountName(username, domain)
      const entry = name === null ? null : await live.load(name)
      if (!entry) return { verifiers: falseVerifiers(decoySecret, name ?? username), principal: null }
      return { verifiers: entry.account.verifiers, principal: entry.principal }
    },

    async issueToken(principal) {
      const entry = live.known(principal.account) ?? (await live.load(principal.name))
      if (!entry || entry.account.id !== principal.account) throw new BrokerError('unauthenticated')
      const { id, name, credentialVersion } = entry.account
      return tokens.issue({ account: id, name, credentialVersion })
    },

    async token(accessToken) {
      const claims = await tokens.read(accessToken)
      if (!claims) return null
      const entry = live.known(claims.account) ?? (await live.load(claims.name))
      const isCurrent =
        entry?.account.id === claims.account && entry.account.credentialVersion === claims.credentialVersion
      return isCurrent ? entry.principal : null
    },

    onEnd: (principal, end) => registerEnd(live, principal, end),
    refresh: live.refresh,
    stop,
  }
}

/** Answers the entry when the password is right. Every wrong one costs one key derivation and one look into the store. */
function createPasswordCheck(live: LiveAccounts, decoySecret: Buffer) {
  const nodeKey = randomBytes(32)
  const gate = createGate(verifications)
  const proofOf = (entry: Entry, prepared: string) =>
    createHmac('sha256', nodeKey).update(`${entry.account.id} ${prepared}`).digest()

  function isProven(entry: Entry, prepared: string): boolean {
    const { proof } = entry
    return proof !== null && proof.until > performance.now() && timingSafeEqual(proof.mac, proofOf(entry, prepared))
  }

  async function derive(entry: Entry | null, name: string, prepared: string): Promise<Entry | null> {
    const account = entry?.account
    const isRight = await matchesVerifiers(prepared, account?.verifiers ?? falseVerifiers(decoySecret, name))
    // The password may have changed while we were at it.
    if (!isRight || !entry || entry.account !== account) return null
    entry.proof = { mac: proofOf(entry, prepared), until: performance.now() + proofLifetimeMs }
    return entry
  }

  async function verify(name: string, prepared: string): Promise<Entry | null> {
    const known = live.knownByName(name)
    if (!known) return derive(await live.load(name), name, prepared)
    if (isProven(known, prepared)) return known
    const tried = known.account
    const verified = await derive(known, name, prepared)
    if (verified) return verified
    // Perhaps a password that another process has just set.
    const current = await live.load(name)
    return current && current.account !== tried ? derive(current, name, prepared) : null
  }

  return async (name: string, prepared: string): Promise<Entry | null> => {
    const known = live.knownByName(name)
    return known && isProven(known, prepared) ? known : gate(() => verify(name, prepared))
  }
}

function registerEnd(live: LiveAccounts, principal: Principal, end: () => void): () => void {
  if (principal.account === anonymous.account) return () => undefined
  const entry = live.known(principal.account)
  if (entry?.principal !== principal) {
    // The account went while the connection was being made; the caller must hear of it after this call.
    queueMicrotask(end)
    return () => undefined
  }
  // A function of our own: the same `end` may be registered twice.
  const once = () => end()
  entry.ends.add(once)
  return () => entry.ends.delete(once)
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
