// Who an address means: canonical name → account, remembered for those that exist.
import type { Account, AccountStore } from './stores.ts'
import type { Party } from './types.ts'

export type Directory = Readonly<{
  /** Undefined: not known without asking the store. */
  known(name: string): Party | undefined
  /** Null: no such account. */
  lookup(name: string): Promise<Party | null>
  /** `id` and `name` of an existing account or message end. */
  party(id: number, name: string): Party
}>

/** Absence is never remembered: an account made a moment ago can be written to at once. */
export function createDirectory(
  accounts: Pick<AccountStore, 'byName'>,
  domain: string,
  maxEntries = 100_000,
): Directory {
  const parties = new Map<string, Party>()

  function party(id: number, name: string): Party {
    const known = parties.get(name)
    if (known?.id === id) return known
    const made: Party = Object.freeze({ id, name, address: `${name}@${domain}` })
    if (parties.size >= maxEntries) parties.clear()
    parties.set(name, made)
    return made
  }

  return {
    known: (name) => parties.get(name),
    async lookup(name) {
      const account: Account | null = await accounts.byName(name)
      return account && party(account.id, account.name)
    },
    party,
  }
}
