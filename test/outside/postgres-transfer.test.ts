// An embedded store moves to a PostgreSQL server of others, and back, by the command line.
import { readFile, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { Client } from 'pg'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { clientConfig } from '../../storage/embedded/attach.ts'
import { readClaim } from '../../storage/embedded/postmaster.ts'
import { runClearbox } from '../helpers/command-line.ts'
import { fillEveryTable, readEverything, type Sql } from '../helpers/every-table.ts'
import { type PostgresServer, startPostgres } from '../helpers/postgres-server.ts'
import { type ScratchFolder, scratchFolder } from '../helpers/scratch-folder.ts'
import { openEmbeddedStore } from '../helpers/store.ts'

let server: PostgresServer
let folder: ScratchFolder
beforeAll(async () => {
  server = await startPostgres()
  folder = await scratchFolder()
})
afterAll(async () => {
  await server.dispose()
  await folder.remove()
})

async function withSql<Result>(client: Client, task: (sql: Sql) => Promise<Result>): Promise<Result> {
  await client.connect()
  const sql: Sql = async <Row extends object>(text: string, values: readonly unknown[] = []) =>
    (await client.query<Row>(text, [...values])).rows
  return task(sql).finally(() => client.end())
}

async function onEmbedded<Result>(
  dataDir: string,
  task: (store: Awaited<ReturnType<typeof openEmbeddedStore>>, sql: Sql) => Promise<Result>,
): Promise<Result> {
  const store = await openEmbeddedStore(dataDir)
  const socket = (await readClaim(join(dataDir, 'postgres')))?.socketFolder ?? ''
  try {
    return await withSql(new Client(clientConfig(socket)), (sql) => task(store, sql))
  } finally {
    await store.close()
  }
}

/** What the command line tells the audit trail of itself belongs to one store only. */
async function readAll(sql: Sql) {
  const { audit, audit_n_seq: _, ...rest } = await readEverything(sql)
  const rows = (audit ?? []).filter((row) => !/"store\.(ex|im)ported"/.test(String(row)))
  return { ...rest, audit: rows }
}

it('every row comes over, both ways, and the last copy is the first one', async () => {
  const run = (args: readonly string[], env: Record<string, string>, input = '') =>
    runClearbox(args, { cwd: folder.path, env, input })
  const first = { CLEARBOX_DATA_DIR: join(folder.path, 'first') }
  const external = { CLEARBOX_DATABASE_URL: await server.createDatabase() }
  const last = { CLEARBOX_DATA_DIR: join(folder.path, 'last') }
  const before = await onEmbedded(first.CLEARBOX_DATA_DIR, async (store, sql) => {
    await fillEveryTable(store, sql)
    return readAll(sql)
  })

  const file = join(folder.path, 'out.clearbox')
  expect(await run(['export', file], first)).toMatchObject({ code: 0, out: '' })
  expect((await stat(file)).mode & 0o777).toBe(0o600)
  expect(await run(['export', file], first)).toMatchObject({
    code: 1,
    err: expect.stringContaining('cannot be written'),
  })
  expect(await run(['import', file], external)).toMatchObject({
    code: 0,
    err: expect.stringMatching(/^Imported 2 accounts, 500 messages, \d+ rows in all\.\n$/),
  })
  expect(await withSql(new Client(external.CLEARBOX_DATABASE_URL), readAll)).toEqual(before)
  expect(await run(['import', file], external)).toMatchObject({
    code: 1,
    err: expect.stringContaining('The store is not empty'),
  })

  const exported = await run(['export', '-'], external)
  expect(exported).toMatchObject({ code: 0, err: expect.stringContaining('Exported 2 accounts') })
  expect(await run(['import', '-'], last, exported.out)).toMatchObject({ code: 0 })
  expect(await onEmbedded(last.CLEARBOX_DATA_DIR, (_store, sql) => readAll(sql))).toEqual(before)
}, 120_000)

it('says in a sentence what cannot be read', async () => {
  const env = { CLEARBOX_DATABASE_URL: await server.createDatabase() }
  const other = join(folder.path, 'other')
  await writeFile(other, await readFile(import.meta.filename))
  const run = (name: string) => runClearbox(['import', name], { cwd: folder.path, env })
  expect(await run('none')).toMatchObject({ code: 1, err: 'none cannot be read (ENOENT).\n' })
  expect(await run('other')).toMatchObject({ code: 1, err: 'This is not what `clearbox export` writes.\n' })
})
