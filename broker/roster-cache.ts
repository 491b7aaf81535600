// The rosters that this node has at hand.
import type { Directory } from './directory.ts'
import { isSeen } from './roster-change.ts'
import type { Roster, RosterItem, RosterStore } from './stores.ts'
import type { Party } from './types.ts'

/** `audience`: who may see the owner's presence. */
export type KnownRoster = Readonly<{
  version: number
  items: ReadonlyMap<string, RosterItem>
  audience: readonly Party[]
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
  maxRosters: number
}>

/** At the limit the roster that was read longest ago goes. */
export function createRosterCache({ store, directory, maxRosters }: Deps): RosterCache {
  const rosters = new Map<number, KnownRoster>()

  function remember(owner: number, { version, items }: Roster): KnownRoster {
    const audience = items.flatMap((item) =>
      item.contact !== null && isSeen(item) ? [directory.party(item.contact, nameOf(item.address))] : [],
    )
    const known = { version, items: new Map(items.map((item) => [item.address, item])), audience }
    rosters.delete(owner)
    const [oldest] = rosters.keys()
    if (oldest !== undefined && rosters.size >= maxRosters) rosters.delete(oldest)
    rosters.set(owner, known)
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
      else rosters.delete(owner)
    },
    forget(account) {
      for (const [owner, { items }] of rosters) {
        const isInIt = [...items.values()].some(({ contact }) => contact === account)
        if (owner === account || isInIt) rosters.delete(owner)
      }
    },
  }
}

/** The account name in a bare address of this server. */
export function nameOf(address: string): string {
  return address.slice(0, address.indexOf('@'))
}
