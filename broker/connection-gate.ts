// Who may connect now: so many per account and per network, so fast, and nobody who only comes and goes.
import type { Limits } from './limits.ts'
import type { Counters } from './metrics.ts'
import { networkOf } from './network.ts'

/** Why not. */
export type Refusal = 'too-many' | 'too-fast' | 'banned'

export type ConnectionGate = Readonly<{
  /** A socket has come; each one goes. False: not even one to be told that it is one too many. */
  arrive(address: string): boolean
  gone(address: string): void
  /** A client from there wants to connect; it counts whatever the answer is. */
  knock(address: string): Refusal | null
  /** `owner` is the connection, which replaces another one of the same client. Account 0 is not counted. */
  enter(owner: object, account: number, isReplacing: boolean): Refusal | null
  /** More than once does no harm. */
  leave(owner: object): void
  isBanned(account: number, clientId: string): boolean
  /** It was not the client who said good-bye. */
  lost(account: number, clientId: string): void
  /** Forgets what is over; now and then. */
  sweep(): void
}>

type Options = Pick<
  Limits,
  | 'connectionsPerAccount'
  | 'connectionsPerAddress'
  | 'connectsPerSecond'
  | 'flappingLosses'
  | 'flappingWindowMs'
  | 'flappingBanMs'
>
type Deps = Readonly<{ limits: Options; counters: Counters; now?: () => number }>

/** Sockets over the limit of a network that are heard, to be told. */
const heardBeyond = 64
/** Of a network that rests: how much more than a second's connects it may make at once. */
const burstSeconds = 10
/** Clients whose losses are remembered; the oldest go first. */
const maxRemembered = 100_000

export function createConnectionGate({ limits, counters, now = () => performance.now() }: Deps): ConnectionGate {
  const sockets = new Map<string, number>()
  const accounts = new Map<number, number>()
  const entered = new Map<object, number>()
  const rate = createRate(limits.connectsPerSecond, now)
  const flapping = createFlapping(limits, now)

  function isOver(network: string, beyond: number): boolean {
    return (sockets.get(network) ?? 0) > limits.connectionsPerAddress + beyond
  }

  function count(refusal: Refusal): Refusal {
    if (refusal === 'too-many') counters.limitConnections++
    else if (refusal === 'too-fast') counters.limitConnectRate++
    else counters.limitFlapping++
    return refusal
  }

  return {
    arrive(address) {
      const network = networkOf(address)
      add(sockets, network, 1)
      if (network === '' || !isOver(network, heardBeyond)) return true
      add(sockets, network, -1)
      count('too-many')
      return false
    },
    gone: (address) => add(sockets, networkOf(address), -1),
    knock(address) {
      const network = networkOf(address)
      // Of a socket that is no network's nothing is known.
      if (network === '') return null
      if (!rate.take(network)) return count('too-fast')
      return isOver(network, 0) ? count('too-many') : null
    },
    enter(owner, account, isReplacing) {
      if (account === 0) return null
      if ((accounts.get(account) ?? 0) >= limits.connectionsPerAccount && !isReplacing) return count('too-many')
      entered.set(owner, account)
      add(accounts, account, 1)
      return null
    },
    leave(owner) {
      const account = entered.get(owner)
      if (account === undefined) return
      entered.delete(owner)
      add(accounts, account, -1)
    },
    isBanned(account, clientId) {
      if (!flapping.isBanned(keyOf(account, clientId))) return false
      count('banned')
      return true
    },
    lost: (account, clientId) => flapping.lost(keyOf(account, clientId)),
    sweep() {
      rate.sweep()
      flapping.sweep()
    },
  }
}

const keyOf = (account: number, clientId: string) => `${account}/${clientId}`

function add<K>(counts: Map<K, number>, key: K, difference: number): void {
  const count = (counts.get(key) ?? 0) + difference
  if (count > 0) counts.set(key, count)
  else counts.delete(key)
}

function createRate(perSecond: number, now: () => number) {
  const burst = perSecond * burstSeconds
  const buckets = new Map<string, { tokens: number; at: number }>()
  const fill = (bucket: { tokens: number; at: number }): number => {
    const time = now()
    bucket.tokens = Math.min(burst, bucket.tokens + ((time - bucket.at) / 1000) * perSecond)
    bucket.at = time
    return bucket.tokens
  }

  return {
    take(network: string): boolean {
      if (perSecond === Number.POSITIVE_INFINITY) return true
      const bucket = buckets.get(network) ?? { tokens: burst, at: now() }
      buckets.set(network, bucket)
      if (fill(bucket) < 1) return false
      bucket.tokens--
      return true
    },
    sweep(): void {
      for (const [network, bucket] of buckets) if (fill(bucket) >= burst) buckets.delete(network)
    },
  }
}

type FlappingLimits = Pick<Limits, 'flappingLosses' | 'flappingWindowMs' | 'flappingBanMs'>

function createFlapping({ flappingLosses, flappingWindowMs, flappingBanMs }: FlappingLimits, now: () => number) {
  /** Losses since the window began; or, banned, until when. In the order of their beginning. */
  const clients = new Map<string, { losses: number; since: number; bannedUntil: number }>()
  const isOver = ({ since, bannedUntil }: { since: number; bannedUntil: number }): boolean =>
    bannedUntil > 0 ? bannedUntil <= now() : since + flappingWindowMs <= now()

  return {
    isBanned(key: string): boolean {
      const client = clients.get(key)
      return client !== undefined && client.bannedUntil > now()
    },
    lost(key: string): void {
      if (flappingLosses === Number.POSITIVE_INFINITY) return
      let client = clients.get(key)
      if (client === undefined || isOver(client)) {
        clients.delete(key)
        client = { losses: 0, since: now(), bannedUntil: 0 }
        clients.set(key, client)
        const [oldest] = clients.keys()
        if (clients.size > maxRemembered && oldest !== undefined) clients.delete(oldest)
      }
      client.losses++
      if (client.losses >= flappingLosses && client.bannedUntil === 0) client.bannedUntil = now() + flappingBanMs
    },
    sweep(): void {
      for (const [key, client] of clients) if (isOver(client)) clients.delete(key)
    },
  }
}
