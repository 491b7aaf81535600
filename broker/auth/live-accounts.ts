// The accounts that this node knows: one live Principal each, kept in step with the store.
import type { Logger } from '../log.ts'
import type { Account, AccountStore, ChangeStore, DeletedAccount } from '../stores.ts'
import type { Role } from '../types.ts'

/** `types.ts` shows it to everyone else as read-only. */
type LivePrincipal = { account: number; name: string; role: Role; plainTopics: 'all' | 'none'; epoch: number }

/** `account` is replaced when it changes; `principal` stays the same object as long as anyone uses it. */
export type Entry = {
  account: Account
  readonly principal: LivePrincipal
  /** HMAC of the last password that was right, and until when it counts; dropped when the password changes. */
  proof: Readonly<{ mac: Buffer; until: number }> | null
  /** How to end the connections of the account; `isGone`: it was deleted. */
  readonly ends: Set<(isGone: boolean) => void>
}

export interface LiveAccounts {
  /** What memory has: at most as old as the last `refresh`. */
  known(account: number): Entry | undefined
  knownByName(name: string): Entry | undefined
  /** From the store; memory follows. Null: no such account. */
  load(name: string): Promise<Entry | null>
  /** Takes over what was changed since the last time, also by other processes. */
  refresh(): Promise<void>
}

/** Entries without a connection that are kept; an entry with one always is. */
const maxIdleEntries = 20_000

type Deps = Readonly<{
  accounts: AccountStore
  changes: ChangeStore
  changesSeen: number
  /** A login was ended, perhaps by another process. */
  onLogout: (session: string) => void
  /** An account was deleted, perhaps one that this node does not know; its connections were told. */
  onDeleted: (deleted: DeletedAccount) => void
  logger: Logger
}>

export function createLiveAccounts({
  accounts,
  changes,
  changesSeen,
  onLogout,
  onDeleted,
  logger,
}: Deps): LiveAccounts {
  const entries = createEntries(logger)
  let seen = changesSeen
  /** Counts the changes that are being taken over, before their accounts are read. */
  let generation = 0

  async function follow(id: number): Promise<void> {
    if (!entries.get(id)) return
    const account = await accounts.byId(id)
    if (account) entries.learn(account)
    else entries.end(id)
  }

  async function catchUp(): Promise<void> {
    for (const change of await changes.since('accounts', seen)) {
      const { what, account, session, name = '', contacts = [] } = change.detail
      if (what === 'logout') onLogout(session ?? '')
      else {
        generation++
        await follow(account)
        if (what === 'deleted') onDeleted({ account, name, contacts })
      }
      seen = Math.max(seen, change.n)
    }
  }

  let turn: Promise<void> = Promise.resolve()
  return {
    known: entries.get,
    knownByName: entries.byName,
    async load(name) {
      for (;;) {
        const before = generation
        const account = await accounts.byName(name)
        // A change that passes while the row is read may be missing from it.
        if (generation === before) return account && entries.learn(account)
      }
    },
    refresh() {
      turn = turn.catch(() => undefined).then(catchUp)
      return turn
    },
  }
}

function createEntries(logger: Logger) {
  // In the order of their last use.
  const entries = new Map<number, Entry>()
  const ids = new Map<string, number>()

  function use(entry: Entry | undefined): Entry | undefined {
    if (!entry) return undefined
    entries.delete(entry.account.id)
    entries.set(entry.account.id, entry)
    return entry
  }

  function drop({ account }: Entry): void {
    entries.delete(account.id)
    if (ids.get(account.name) === account.id) ids.delete(account.name)
  }

  /** Drops one idle entry; busy ones on the way count as used. */
  function evict(): void {
    let looked = 0
    for (const entry of entries.values()) {
      if (++looked > 64) return
      if (entry.ends.size === 0) {
        drop(entry)
        return
      }
      use(entry)
    }
  }

  function create(account: Account): Entry {
    const entry = toEntry(account)
    if (entries.size >= maxIdleEntries) evict()
    entries.set(account.id, entry)
    ids.set(account.name, account.id)
    return entry
  }

  return {
    get: (id: number) => use(entries.get(id)),
    byName: (name: string) => use(entries.get(ids.get(name) ?? 0)),
    /** What the store says of an account; newer credentials end the connections that were made with the old ones. */
    learn(account: Account): Entry {
      const entry = use(entries.get(account.id)) ?? create(account)
      if (account.credentialVersion <= entry.account.credentialVersion) return entry
      entry.account = account
      entry.principal.role = account.role
      entry.principal.plainTopics = account.plainTopics
      endAll(entry, false, logger)
      return entry
    },
    /** The account is gone. */
    end(id: number): void {
      const entry = entries.get(id)
      if (!entry) return
      drop(entry)
      endAll(entry, true, logger)
    },
  }
}

function toEntry(account: Account): Entry {
  const { id, name, role, plainTopics } = account
  const principal = { account: id, name, role, plainTopics, epoch: 0 }
  return { account, principal, proof: null, ends: new Set() }
}

function endAll(entry: Entry, isGone: boolean, logger: Logger): void {
  entry.proof = null
  entry.principal.epoch++
  const ends = [...entry.ends]
  entry.ends.clear()
  for (const end of ends) {
    try {
      end(isGone)
    } catch (err) {
      logger.error({ err, account: entry.account.name }, 'a connection could not be ended')
    }
  }
}
