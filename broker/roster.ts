// Rosters: who an account's contacts are, and who may see whose presence. Changes are durable before anyone is told.
import type { ContactEvent, Rosters } from './contacts.ts'
import type { Directory } from './directory.ts'
import { BrokerError } from './errors.ts'
import { createKeyedTurns } from './keyed-turns.ts'
import { createRosterCache, nameOf, type RosterCache } from './roster-cache.ts'
import { type Decided, type Ends, putItem, removeItem, type Said, say } from './roster-change.ts'
import { type Dealing, eventsOf } from './roster-events.ts'
import type { RosterPair, RosterStore } from './stores.ts'
import type { Party } from './types.ts'

/** `items` may be listed by their owner; `requests` of others wait beside them; `cached` rosters are in memory. */
type Limits = Readonly<{ items: number; requests: number; cached: number }>
const defaultLimits: Limits = { items: 5000, requests: 1000, cached: 20_000 }

export type RostersDeps = Readonly<{
  store: RosterStore
  directory: Pick<Directory, 'lookup' | 'party'>
  /** Canonical. */
  domain: string
  limits?: Limits
}>

/** Refuses, or decides what becomes of both ends. */
type Step = (dealing: Dealing) => Promise<BrokerError | Decide>
type Decide = (pair: RosterPair, ends: Ends) => Decided

export function createRosters({ store, directory, domain, limits = defaultLimits }: RostersDeps): Rosters {
  const cache = createRosterCache({ store, directory, maxRosters: limits.cached })
  const turns = createKeyedTurns<number>()
  const listeners: ((event: ContactEvent) => void)[] = []
  const change = createChange(store, cache)

  /** One change at a time per account, at both ends. */
  async function deal(asked: Omit<Dealing, 'peer'>, step: Step): Promise<BrokerError | null> {
    const { owner, address } = asked
    if (address === owner.address) return new BrokerError('forbidden', 'An account is no contact of itself.')
    const peer = address.endsWith(`@${domain}`) ? await directory.lookup(nameOf(address)) : null
    return turns.run(peer === null ? [owner.id] : [owner.id, peer.id], async () => {
      const dealing = { ...asked, peer }
      const decide = await step(dealing)
      if (decide instanceof BrokerError) return decide
      for (const event of await change(dealing, decide)) for (const tell of listeners) tell(event)
      return null
    })
  }

  return {
    async read(account) {
      const { version, items } = cache.known(account) ?? (await turns.run([account], () => cache.load(account)))
      return { version, items: [...items.values()] }
    },
    put: (owner, address, how) =>
      deal({ owner, address, request: '' }, async () => {
        if (await isFull(cache, owner, address, limits)) return full()
        return (pair, ends) => ({ pair: putItem(pair, ends, how), said: [] })
      }),
    remove: (owner, address) =>
      deal({ owner, address, request: '' }, async () => {
        const { items } = await cache.load(owner.id)
        return items.get(address)?.listed ? removeItem : new BrokerError('not-found', 'This is no contact of yours.')
      }),
    say: (owner, verb, address, request) =>
      deal({ owner, address, request }, async ({ peer }) => {
        if (await isFull(cache, owner, address, limits)) return full()
        const saying = { verb, request, accepts: await accepts(cache, peer, owner, limits) }
        return (pair, ends) => say(pair, ends, saying)
      }),
    audience(owner) {
      const known = cache.known(owner.id)
      if (known !== undefined) return [owner, ...known.audience]
      return turns.run([owner.id], async () => [owner, ...(await cache.load(owner.id)).audience])
    },
    onEvent: (listener) => void listeners.push(listener),
    forget: cache.forget,
  }
}

/** Writes both ends; memory follows. Answers what is to be told. */
function createChange(store: Pick<RosterStore, 'change'>, cache: RosterCache) {
  return async (dealing: Dealing, decide: Decide): Promise<readonly ContactEvent[]> => {
    const { owner, peer, address } = dealing
    const ends: Ends = {
      own: { owner: owner.id, address, contact: peer?.id ?? null },
      theirs: peer && { owner: peer.id, address: owner.address, contact: owner.id },
    }
    let said: readonly Said[] = []
    const changed = await store.change(ends.own, ends.theirs, (pair) => {
      const decided = decide(pair, ends)
      said = decided.said
      return decided.pair
    })
    const { after, versions } = changed
    cache.learn(owner.id, address, after.own, versions.own)
    if (peer !== null) cache.learn(peer.id, owner.address, after.theirs, versions.theirs)
    return eventsOf(changed, said, dealing)
  }
}

const full = () => new BrokerError('quota', 'The roster has no room for more contacts.')

async function isFull(cache: RosterCache, owner: Party, address: string, limits: Limits): Promise<boolean> {
  const { items } = await cache.load(owner.id)
  return !items.get(address)?.listed && count(items.values(), true) >= limits.items
}

/** Requests of strangers beyond the limit are lost without a word, like those to an account that does not exist. */
async function accepts(cache: RosterCache, peer: Party | null, from: Party, limits: Limits): Promise<boolean> {
  if (peer === null) return false
  const { items } = await cache.load(peer.id)
  return items.has(from.address) || count(items.values(), false) < limits.requests
}

function count(items: Iterable<Readonly<{ listed: boolean }>>, listed: boolean): number {
  let found = 0
  for (const item of items) if (item.listed === listed) found++
  return found
}
