// A store on a scratch data folder, with its own embedded database: one per test file.
import { randomBytes } from 'node:crypto'
import { join } from 'node:path'
import { Client, type ClientConfig } from 'pg'
import { createLogger } from '../../broker/log.ts'
import type { Account, Appending, Store } from '../../broker/stores.ts'
import type { Verifiers } from '../../broker/types.ts'
import { createUuid } from '../../broker/uuid.ts'
import { readDatabaseUrl } from '../../storage/database-url.ts'
import { clientConfig } from '../../storage/embedded/attach.ts'
import { readClaim } from '../../storage/embedded/postmaster.ts'
import { openStore } from '../../storage/index.ts'
import { connectionConfig } from '../../storage/postgres.ts'
import { type ScratchFolder, scratchFolder } from './scratch-folder.ts'

export { type ScratchFolder, scratchFolder }

export type ScratchStore = Readonly<{
  store: Store
  dataDir: string
  /** Closes the store, stops its database and removes the folder. */
  close: () => Promise<void>
}>

export async function openScratchStore(binDir: string | null = null): Promise<ScratchStore> {
  const folder = await scratchFolder()
  const dataDir = join(folder.path, 'data')
  const store = await openEmbeddedStore(dataDir, 'broker', binDir)
  return {
    store,
    dataDir,
    async close() {
      await store.close()
      await folder.remove()
    },
  }
}

export function openEmbeddedStore(
  dataDir: string,
  purpose: 'broker' | 'tool' = 'broker',
  binDir: string | null = null,
): Promise<Store> {
  return openStore({ config: { dataDir, database: { url: null, binDir } }, logger: createLogger('silent'), purpose })
}

/** A store on a server that is not ours to start. */
export function openExternalStore(url: string, purpose: 'broker' | 'tool' = 'broker'): Promise<Store> {
  const config = { dataDir: '/nonexistent', database: { url, binDir: null } }
  return openStore({ config, logger: createLogger('silent'), purpose })
}

/** A database that a contract suite has to itself. */
export type StoreUnderTest = Readonly<{
  store: Store
  /** Another opening of the same database, as by another process. */
  open: () => Promise<Store>
  /** Past the store, for what only time or accidents bring about. */
  sql: <Row extends object>(text: string, values?: readonly unknown[]) => Promise<Row[]>
  config: ClientConfig
  close: () => Promise<void>
}>

type StoreKind = Readonly<{ name: string; create: () => Promise<StoreUnderTest> }>

const otherBinaries = process.env.CLEARBOX_TEST_BIN_DIR

const embeddedKinds: readonly StoreKind[] = [
  { name: 'embedded', create: () => embeddedUnderTest(null) },
  ...(otherBinaries ? [{ name: otherBinaries, create: () => embeddedUnderTest(otherBinaries) }] : []),
]

/** Each contract suite runs on each of these; test/outside/postgres-store.test.ts runs them on a server of others. */
export const storeKinds: readonly StoreKind[] = process.env.CLEARBOX_TEST_DATABASE_URL
  ? [{ name: 'a PostgreSQL server', create: () => externalUnderTest(process.env.CLEARBOX_TEST_DATABASE_URL ?? '') }]
  : embeddedKinds

/** A new database beside the one that the URL names. */
async function externalUnderTest(serverUrl: string): Promise<StoreUnderTest> {
  const name = `test_${randomBytes(6).toString('hex')}`
  await asAdmin(serverUrl, `CREATE DATABASE ${name}`)
  const url = Object.assign(new URL(serverUrl), { pathname: `/${name}` }).href
  const store = await openExternalStore(url)
  const opened: Store[] = []
  const config = connectionConfig(readDatabaseUrl(url))
  const client = new Client(config)
  await client.connect()
  return {
    store,
    async open() {
      const other = await openExternalStore(url, 'tool')
      opened.push(other)
      return other
    },
    sql: async <Row extends object>(text: string, values: readonly unknown[] = []) =>
      (await client.query<Row>(text, [...values])).rows,
    config,
    async close() {
      await client.end()
      for (const other of [...opened, store]) await other.close()
      await asAdmin(serverUrl, `DROP DATABASE ${name} WITH (FORCE)`)
    },
  }
}

async function asAdmin(url: string, statement: string): Promise<void> {
  const client = new Client(url)
  await client.connect()
  await client.query(statement)
  await client.end()
}

async function embeddedUnderTest(binDir: string | null): Promise<StoreUnderTest> {
  const scratch = await openScratchStore(binDir)
  const opened: Store[] = []
  const claim = await readClaim(join(scratch.dataDir, 'postgres'))
  const config = connectionConfig(clientConfig(claim?.socketFolder ?? ''))
  const client = new Client(config)
  await client.connect()
  return {
    store: scratch.store,
    async open() {
      const store = await openEmbeddedStore(scratch.dataDir, 'tool', binDir)
      opened.push(store)
      return store
    },
    sql: async <Row extends object>(text: string, values: readonly unknown[] = []) =>
      (await client.query<Row>(text, [...values])).rows,
    config,
    async close() {
      await client.end()
      for (const store of opened) await store.close()
      await scratch.close()
    },
  }
}

/** Good for being stored and read, not for a login. */
export function someVerifiers(): Verifiers {
  const verifier = (size: number) => ({
    salt: randomBytes(16),
    iterations: 10_000,
    storedKey: randomBytes(size),
    serverKey: randomBytes(size),
  })
  return { 'SCRAM-SHA-1': verifier(20), 'SCRAM-SHA-256': verifier(32) }
}

let names = 0

/** An account with a name of its own. */
export async function someAccount(store: Store): Promise<Account> {
  names += 1
  const name = `user${names}-${randomBytes(4).toString('hex')}`
  const account = await store.accounts.create({
    name,
    role: 'user',
    plainTopics: 'all',
    verifiers: someVerifiers(),
  })
  if (account === null) throw new Error(`The name ${name} is taken.`)
  return account
}

/** A message from one account to another, with the fields that a test cares about. */
export function someMessage(sender: number, receiver: number, fields: Partial<Appending> = {}): Appending {
  return {
    id: createUuid(),
    kind: 'message',
    sender,
    receiver,
    device: 'phone',
    toResource: null,
    oid: null,
    hash: null,
    xid: null,
    ref: null,
    body: { format: 'json', text: '{"text":"hi"}' },
    text: 'hi',
    ttl: null,
    ...fields,
  }
}
