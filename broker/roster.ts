// Rosters: who an account's contacts are, and who may see whose presence. Changes are durable before anyone is told.
import type { ContactEvent, Rosters } from './contacts.ts'
import type { Directory } from './directory.ts'
import { BrokerError } from './errors.ts'
import { createKeyedTurns } from './keyed-turns.ts'
import { createRosterCache, nameOf, type RosterCache } from './roster-cache.ts'
import { type Decided, type Ends, putItem, removeItem, type Said, say } from './roster-change.ts'
import { type Dealing, eventsOf, farewellOf } from './roster-events.ts'
import { sizeOf } from './roster-size.ts'
import type { RosterItem, RosterPair, RosterStore } from './stores.ts'
import type { Party } from './types.ts'

/** What an owner may list; what others may ask of it beside that; what all rosters may have in memory. */
type Limits = Readonly<{
  items: number
  itemBytes: number
  requests: number
  requestBytes: number
  cachedBytes: number
}>
const KiB = 1024
const defaultLimits: Limits = {
  items: 5000,
  itemBytes: 512 * KiB,
  requests: 1000,
  requestBytes: 256 * KiB,
  cachedBytes: 64 * KiB * KiB,
}

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
  const cache = createRosterCache({ store, directory, maxBytes: limits.cachedBytes })
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
        if (await isFull(cache, owner, { address, ...how }, limits)) return full()
        return (pair, ends) => ({ pair: putItem(pair, ends, how), said: [] })
      }),
    remove: (owner, address) =>
      deal({ owner, address, request: '' }, async () => {
        const { items } = await cache.load(owner.id)
        return items.get(address)?.listed ? removeItem : new BrokerError('not-found', 'This is no contact of yours.')
      }),
    say: (owner, verb, address, request) =>
      deal({ owner, address, request }, async ({ peer }) => {
        const name = { address, name: '', groups: [] }
        // Whoever refuses or ends something always may.
        const lists = verb === 'subscribe' || verb === 'subscribed'
        if (lists && (await isFull(cache, owner, name, limits))) return full()
        const saying = { verb, ...(await acceptance(cache, peer, { from: owner, request }, limits)) }
        return (pair, ends) => say(pair, ends, saying)
      }),
    audience(owner) {
      const known = cache.known(owner.id)
      if (known !== undefined) return [owner, ...known.audience]
      return turns.run([owner.id], async () => [owner, ...(await cache.load(owner.id)).audience])
    },
    onEvent: (listener) => void listeners.push(listener),
    forget(deleted) {
      cache.forget(deleted.account)
      for (const event of farewellOf(deleted, directory)) for (const tell of listeners) tell(event)
    },
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

type Named = Pick<RosterItem, 'address' | 'name' | 'groups'>

/** What makes an item no larger always has room. */
async function isFull(cache: RosterCache, owner: Party, wanted: Named, limits: Limits): Promise<boolean> {
  const { items, usage } = await cache.load(owner.id)
  const known = items.get(wanted.address)
  const was = known?.listed ? sizeOf(known) : 0
  const growth = sizeOf(wanted) - was
  if (was === 0 && usage.listed >= limits.items) return true
  return growth > 0 && usage.listedBytes + growth > limits.itemBytes
}

type Asking = Readonly<{ from: Party; request: string }>

/**
 * Requests of strangers beyond the limit are lost without a word, like those to an account that does not exist. Whatever
 * finds no room for its text waits without it.
 */
async function acceptance(cache: RosterCache, peer: Party | null, { from, request }: Asking, limits: Limits) {
  if (peer === null) return { accepts: false, request }
  const { items, usage } = await cache.load(peer.id)
  const accepts = items.has(from.address) || usage.requests < limits.requests
  const fits = usage.requestBytes + Buffer.byteLength(request) <= limits.requestBytes
  return { accepts, request: fits ? request : '' }
}
