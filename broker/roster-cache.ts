// The rosters that this node has at hand.
import type { Directory } from './directory.ts'
import { isSeen } from './roster-change.ts'
import { type RosterUsage, usageOf } from './roster-size.ts'
import type { Roster, RosterItem, RosterStore } from './stores.ts'
import type { Party } from './types.ts'

/** `audience`: who may see the owner's presence. */
export type KnownRoster = Readonly<{
  version: number
  items: ReadonlyMap<string, RosterItem>
  audience: readonly Party[]
  usage: RosterUsage
}>

export type RosterCache = Readonly<{
  known(owner: number): KnownRoster | undefined
  /** From memory or the store; only while no change of this roster is on its way. */
  load(owner: number): Promise<KnownRoster>
  /** What a change has made of an item, and the version then. */
  learn(owner: number, address: string, item: RosterItem | null, version: number): void
  /** Rosters of this account, and those that it stands in, are read again. */
  forget(account: number): void
}>

type Deps = Readonly<{
  store: Pick<RosterStore, 'read'>
  directory: Pick<Directory, 'party'>
  maxBytes: number
}>

/** Of memory, beside the text: an item, and a roster. */
const itemBytes = 400
const rosterBytes = 1000

/** At the limit the rosters go that were read longest ago. */
export function createRosterCache({ store, directory, maxBytes }: Deps): RosterCache {
  const rosters = new Map<number, KnownRoster>()
  let bytes = 0

  function drop(owner: number): void {
    const known = rosters.get(owner)
    if (known === undefined) return
    rosters.delete(owner)
    bytes -= weightOf(known)
  }

  function remember(owner: number, { version, items }: Roster): KnownRoster {
    const audience = items.flatMap((item) =>
      item.contact !== null && isSeen(item) ? [directory.party(item.contact, nameOf(item.address))] : [],
    )
    const known = {
      version,
      items: new Map(items.map((item) => [item.address, item])),
      audience,
      usage: usageOf(items),
    }
    drop(owner)
    rosters.set(owner, known)
    bytes += weightOf(known)
    for (const oldest of rosters.keys()) {
      if (bytes <= maxBytes || oldest === owner) break
      drop(oldest)
    }
    return known
  }

  return {
    known: (owner) => rosters.get(owner),
    load: async (owner) => rosters.get(owner) ?? remember(owner, await store.read(owner)),
    learn(owner, address, item, version) {
      const known = rosters.get(owner)
      if (known === undefined || known.version === version) return
      const items = new Map(known.items)
      items.delete(address)
      if (item !== null) items.set(address, item)
      // A gap: another process changed it, too, so it is read again.
      if (known.version + 1 === version) remember(owner, { version, items: [...items.values()] })
      else drop(owner)
    },
    forget(account) {
      for (const [owner, { items }] of rosters) {
        const isInIt = [...items.values()].some(({ contact }) => contact === account)
        if (owner === account || isInIt) drop(owner)
      }
    },
  }
}

function weightOf({ items, usage }: KnownRoster): number {
  return rosterBytes + items.size * itemBytes + usage.listedBytes + usage.requestBytes
}

/** The account name in a bare address of this server. */
export function nameOf(address: string): string {
  return address.slice(0, address.indexOf('@'))
}
