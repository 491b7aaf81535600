// Who an address means: canonical name → account, remembered for those that exist.
import type { Account, AccountStore } from './stores.ts'
import type { Party } from './types.ts'

export type Directory = Readonly<{
  /** Undefined: not known without asking the store. */
  known(name: string): Party | undefined
  /** Null: no such account. */
  lookup(name: string): Promise<Party | null>
  /** The other end of a conversation that was, though its account may be deleted. Null: there never was one. */
  lookupPeer(name: string): Promise<Party | null>
  /** `id` and `name` of a message's end, whether or not the account is still there. */
  party(id: number, name: string): Party
  /** The account was deleted. */
  forget(id: number): void
}>

/** Absence is never remembered: an account made a moment ago can be written to at once. */
export function createDirectory(
  accounts: Pick<AccountStore, 'byName' | 'idOf'>,
  domain: string,
  maxEntries = 100_000,
): Directory {
  const existing = new Map<string, Party>()
  const parties = new Map<string, Party>()
  let forgotten = 0

  function party(id: number, name: string): Party {
    const known = parties.get(name)
    if (known?.id === id) return known
    const made: Party = Object.freeze({ id, name, address: `${name}@${domain}` })
    remember(parties, made)
    return made
  }

  function remember(map: Map<string, Party>, made: Party): void {
    if (map.size >= maxEntries) map.clear()
    map.set(made.name, made)
  }

  return {
    known: (name) => existing.get(name),
    async lookup(name) {
      const before = forgotten
      const account: Account | null = await accounts.byName(name)
      if (account === null) return null
      const found = party(account.id, account.name)
      // It may have been read before it was deleted.
      if (forgotten === before) remember(existing, found)
      return found
    },
    async lookupPeer(name) {
      const known = existing.get(name)
      if (known) return known
      const id = await accounts.idOf(name)
      return id === null ? null : party(id, name)
    },
    party,
    forget(id) {
      forgotten++
      for (const [name, known] of existing) if (known.id === id) existing.delete(name)
    },
  }
}
