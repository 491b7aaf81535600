// Failed logins: who guesses must wait, longer each time. One model for all borders; per node, in memory.
import { BrokerError } from '../errors.ts'
import { networkOf, unixPeer } from '../network.ts'

export type LoginGuardOptions = Readonly<{
  /** Failures of one account from one network before its next try must wait. */
  tries: number
  /** The same for one network, whatever the accounts. */
  addressTries: number
  maxWaitSeconds: number
  maxEntries?: number
  /** A monotonic clock, milliseconds. */
  now?: () => number
}>

export interface LoginGuard {
  /**
   * Before credentials are looked at: whoever must wait is not told whether they would have been right.
   * @throws BrokerError throttled
   */
  demand(address: string, name: string): void
  /** True: with this failure a wait begins. */
  failed(address: string, name: string): boolean
  succeeded(address: string, name: string): void
  /** Forgets what is long past; now and then. */
  sweep(): void
}

type Count = { failures: number; lastAt: number; until: number }

const firstWaitMs = 1000
const maxNameLength = 200

/**
 * After `tries` failures each further one doubles the wait, from a second to the limit. A success forgives the account
 * from this network, never the network: else whoever has an account could guess at others for ever. What a network did
 * is forgotten when nothing failed for four times the longest wait. Full: the entry with the oldest failure goes.
 * Peers at a Unix socket wait per account only: one of them could shut out all others.
 */
export function createLoginGuard(options: LoginGuardOptions): LoginGuard {
  const { tries, addressTries, maxWaitSeconds, maxEntries = 20_000, now = () => performance.now() } = options
  const maxWaitMs = maxWaitSeconds * 1000
  const accounts = createCounts(tries)
  const networks = createCounts(addressTries)

  function createCounts(free: number) {
    // In the order of their last failure.
    const counts = new Map<string, Count>()
    return {
      waitMs(key: string): number {
        return Math.max(0, (counts.get(key)?.until ?? 0) - now())
      },
      fail(key: string): boolean {
        const known = counts.get(key)
        const count = known && !isOver(known) ? known : { failures: 0, lastAt: 0, until: 0 }
        counts.delete(key)
        count.failures++
        count.lastAt = now()
        const excess = count.failures - free
        if (excess >= 0) count.until = count.lastAt + Math.min(maxWaitMs, firstWaitMs * 2 ** Math.min(excess, 30))
        if (counts.size >= maxEntries) dropOldest(counts)
        counts.set(key, count)
        return excess >= 0
      },
      forgive: (key: string) => void counts.delete(key),
      sweep() {
        for (const [key, count] of counts) {
          if (!isOver(count)) return
          counts.delete(key)
        }
      },
    }
  }

  function isOver({ lastAt }: Count): boolean {
    return now() - lastAt > 4 * maxWaitMs
  }

  return {
    demand(address, name) {
      const network = networkOf(address)
      const retryAfterMs = Math.max(networks.waitMs(network), accounts.waitMs(keyOf(network, name)))
      if (retryAfterMs > 0) throw new BrokerError('throttled', undefined, { retryAfterMs })
    },
    failed(address, name) {
      const network = networkOf(address)
      const isAccountHeld = accounts.fail(keyOf(network, name))
      return (network !== unixPeer && networks.fail(network)) || isAccountHeld
    },
    succeeded: (address, name) => accounts.forgive(keyOf(networkOf(address), name)),
    sweep() {
      accounts.sweep()
      networks.sweep()
    },
  }
}

function keyOf(network: string, name: string): string {
  return `${network} ${name.slice(0, maxNameLength)}`
}

function dropOldest(counts: Map<string, Count>): void {
  const [oldest] = counts.keys()
  if (oldest !== undefined) counts.delete(oldest)
}
