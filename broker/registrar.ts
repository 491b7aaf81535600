// Accounts that people make and keep themselves: the rules, whatever border they come by.
import { toAccountName } from './account-name.ts'
import { makeVerifiers, preparePassword } from './auth/scram.ts'
import type { Events } from './happening.ts'
import type { Logger } from './log.ts'
import { isLoopback, networkOf } from './network.ts'
import type { AccountStore } from './stores.ts'
import type { Registrar } from './types.ts'

/** New accounts from one network, and in what time. */
const perNetwork = 5
const windowMs = 3_600_000
const maxNetworks = 20_000

type Deps = Readonly<{
  accounts: Pick<AccountStore, 'create' | 'setVerifiers' | 'bury'>
  domain: string
  events: Events
  logger: Logger
  /** A monotonic clock, milliseconds. */
  now?: () => number
}>

export function createRegistrar({ accounts, domain, events, logger, now }: Deps): Registrar {
  const allowance = createAllowance(now ?? (() => performance.now()))

  return {
    async create(username, password, origin) {
      const name = toAccountName(username, domain)
      if (name === null || preparePassword(password) === null) return 'invalid'
      // Before the work of a key derivation; a name that is taken costs as much as one that is not.
      if (!allowance.take(origin.address)) return 'throttled'
      const verifiers = await makeVerifiers(password)
      const account = await accounts.create({ name, role: 'user', plainTopics: 'none', verifiers }) // DESIGN §3
      if (account === null) return 'taken'
      events.record({ action: 'account.created', ...origin, account: account.id, name, target: name })
      return 'created'
    },
    async changePassword({ account, name }, password, origin) {
      if (preparePassword(password) === null) return false
      await accounts.setVerifiers(name, await makeVerifiers(password))
      events.record({ action: 'account.password', ...origin, account, name, target: name })
      return true
    },
    async cancel({ account, name }, origin) {
      const buried = await accounts.bury(name)
      events.record({ action: 'account.deleted', ...origin, account, name, target: name })
      // Nobody waits for it; what an interruption leaves goes with the hourly pruning.
      buried?.purge().catch((err: unknown) => logger.warn({ err }, 'what a deleted account had goes later'))
    },
  }
}

/** Whoever speaks from this machine is its owner's business. */
function createAllowance(now: () => number) {
  // In the order in which their windows began.
  const windows = new Map<string, { since: number; taken: number }>()

  function sweep(): void {
    for (const [network, { since }] of windows) {
      if (now() - since < windowMs && windows.size < maxNetworks) return
      windows.delete(network)
    }
  }

  return {
    take(address: string): boolean {
      if (isLoopback(address)) return true
      sweep()
      const network = networkOf(address)
      const window = windows.get(network) ?? { since: now(), taken: 0 }
      if (window.taken >= perNetwork) return false
      window.taken++
      windows.set(network, window)
      return true
    },
  }
}
