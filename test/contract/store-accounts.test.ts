// Accounts, the changes that others learn of, secrets, migrations.
import { copyFile, mkdir, readdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { migrate } from '../../storage/migrate.ts'
import { StoreStartError } from '../../storage/start-error.ts'
import { type StoreUnderTest, scratchFolder, someAccount, someVerifiers, storeKinds } from '../helpers/store.ts'

describe.each(storeKinds)('accounts on $name', ({ create }) => {
  let db: StoreUnderTest
  beforeAll(async () => {
    db = await create()
  })
  afterAll(() => db.close())

  it('creates an account with a log of its own, and finds it by name and id', async () => {
    const verifiers = someVerifiers()
    const name = `ünï-${crypto.randomUUID()}`
    const made = await db.store.accounts.create({ name, role: 'admin', plainTopics: 'none', verifiers })
    expect(made).toMatchObject({ name, role: 'admin', plainTopics: 'none', verifiers, credentialVersion: 1 })
    expect(await db.store.accounts.byName(name)).toEqual(made)
    expect(await db.store.accounts.byId(made?.id ?? 0)).toEqual(made)
    expect(await db.sql('SELECT seq FROM owners WHERE id = $1', [made?.id])).toEqual([{ seq: 0 }])
  })

  it('answers null for a name that is taken, or unknown', async () => {
    const { name, verifiers } = await someAccount(db.store)
    const before = await db.sql('SELECT id FROM owners')
    expect(await db.store.accounts.create({ name, role: 'user', plainTopics: 'all', verifiers })).toBeNull()
    expect(await db.sql('SELECT id FROM owners')).toEqual(before)
    expect(await db.store.accounts.byName('no one')).toBeNull()
    expect(await db.store.accounts.byId(999_999_999)).toBeNull()
    expect(await db.store.accounts.setVerifiers('no one', verifiers)).toBeNull()
  })

  it('records new accounts and passwords as numbered changes', async () => {
    const before = await db.store.changes.last('accounts')
    const account = await someAccount(db.store)
    const verifiers = someVerifiers()
    const changed = await db.store.accounts.setVerifiers(account.name, verifiers)
    expect(changed).toEqual({ ...account, verifiers, credentialVersion: 2 })
    expect(await db.store.changes.since('accounts', before)).toEqual([
      { n: before + 1, detail: { account: account.id, what: 'created' } },
      { n: before + 2, detail: { account: account.id, what: 'password' } },
    ])
    expect(await db.store.changes.last('accounts')).toBe(before + 2)
  })

  it('never shows a change with a lower number after a higher one', async () => {
    const stores = [db.store, await db.open(), await db.open()]
    const accounts = await Promise.all(stores.map(() => someAccount(db.store)))
    let seen = await db.store.changes.last('accounts')
    const end = seen + 3 * 20
    const writers = stores.map(async (store, n) => {
      for (let turn = 0; turn < 20; turn++) await store.accounts.setVerifiers(accounts[n]?.name ?? '', someVerifiers())
    })
    while (seen < end) {
      const changes = await db.store.changes.since('accounts', seen)
      expect(changes.map(({ n }) => n)).toEqual(changes.map((_, n) => seen + n + 1))
      seen += changes.length
    }
    await Promise.all(writers)
  })

  it('makes a secret once, whoever asks first', async () => {
    const name = crypto.randomUUID()
    const stores = [db.store, await db.open(), db.store]
    const [first, ...others] = await Promise.all(stores.map((store) => store.secrets.getOrCreate(name, 32)))
    expect(first).toHaveLength(32)
    for (const other of others) expect(other).toEqual(first)
    expect(await db.store.secrets.getOrCreate(crypto.randomUUID(), 32)).not.toEqual(first)
  })

  it('answers a ping', async () => {
    await expect(db.store.ping()).resolves.toBeUndefined()
  })

  it('applies each migration once when several processes start at once, and refuses an edited one', async () => {
    const folder = await scratchFolder()
    try {
      const applied = join(import.meta.dirname, '../../storage/migrations')
      await mkdir(folder.path, { recursive: true })
      for (const name of await readdir(applied)) await copyFile(join(applied, name), join(folder.path, name))
      const own = join(folder.path, '9999-test.sql')
      await writeFile(own, 'CREATE TABLE migrated (at timestamptz DEFAULT now()); INSERT INTO migrated DEFAULT VALUES')
      await Promise.all(Array.from({ length: 4 }, () => migrate(db.config, folder.path)))
      expect(await db.sql('SELECT 1 FROM migrated')).toHaveLength(1)
      await writeFile(own, 'SELECT 1')
      await expect(migrate(db.config, folder.path)).rejects.toThrow(/9999-test\.sql was changed/)
      await expect(migrate(db.config)).rejects.toThrow(StoreStartError)
      await expect(migrate(db.config)).rejects.toThrow(/newer release/)
      await writeFile(join(folder.path, '9999-test.sql'), 'CREATE TABLE half (x int); SELECT 1/0')
      await db.sql("DELETE FROM migrations WHERE name = '9999-test.sql'")
      await expect(migrate(db.config, folder.path)).rejects.toThrow(/division by zero/)
      expect(await db.sql("SELECT 1 FROM pg_class WHERE relname = 'half'")).toEqual([])
    } finally {
      await folder.remove()
    }
  })
})
