// All that a store has, as one file, and into another store.
import { PassThrough, Readable, Writable } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import { Client } from 'pg'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { readDump } from '../../storage/transfer/read-dump.ts'
import { writeDump } from '../../storage/transfer/write-dump.ts'
import { fillEveryTable, readEverything } from '../helpers/every-table.ts'
import { type StoreUnderTest, someAccount, someMessage, storeKinds } from '../helpers/store.ts'

describe.each(storeKinds)('export and import on $name', ({ create }) => {
  const made: StoreUnderTest[] = []
  let full: StoreUnderTest
  let empty: StoreUnderTest
  beforeAll(async () => {
    full = await create()
    empty = await create()
    made.push(full, empty)
    await fillEveryTable(full.store, full.sql)
  })
  afterAll(async () => {
    for (const db of made) await db.close()
  })

  async function withClient<Result>(db: StoreUnderTest, task: (client: Client) => Promise<Result>): Promise<Result> {
    const client = new Client(db.config)
    await client.connect()
    return task(client).finally(() => client.end())
  }

  async function dump(db: StoreUnderTest): Promise<Buffer> {
    const output = new PassThrough()
    const content = buffer(output)
    await withClient(db, (client) => writeDump(client, output))
    output.end()
    return content
  }

  /** In pieces of `size` bytes. */
  function load(db: StoreUnderTest, content: Buffer, size = 65_536) {
    const pieces = function* () {
      for (let at = 0; at < content.length; at += size) yield content.subarray(at, at + size)
    }
    return withClient(db, (client) => readDump(client, Readable.from(pieces())))
  }

  it('refuses what is no export, what is cut off or changed, and another release; nothing of it is kept', async () => {
    const content = await dump(full)
    const before = await readEverything(empty.sql)
    const text = content.toString()
    const cases: readonly (readonly [string, string])[] = [
      ['', 'This is not what `clearbox export` writes.'],
      ['CREATE TABLE x ();\n', 'This is not what `clearbox export` writes.'],
      [text.slice(0, text.lastIndexOf('end {')), 'its end is missing'],
      [text.slice(0, text.length / 2), 'Nothing was imported'],
      [text.replace('"format":1', '"format":2'), 'has format 2; this release reads format 1'],
      [text.replace(/"0001-first.sql":"[^"]+",/, ''), 'made by another release'],
      [text.replace(/"0001-first.sql":"./, '"0001-first.sql":"x'), 'made with another 0001-first.sql'],
      [text.replace('table {"name":"accounts"', 'table {"name":"migrations"'), 'a table migrations that is not known'],
      [text.replace('"messages":500', '"messages":501'), 'it has 500 of 501 rows of messages'],
    ]
    for (const [changed, words] of cases) {
      await expect(load(empty, Buffer.from(changed)), words).rejects.toThrow(words)
    }
    expect(await readEverything(empty.sql)).toEqual(before)
  })

  it('brings every row of every table over, however the file is cut, and goes on with the same numbers', async () => {
    const content = await dump(full)
    const counts = await load(empty, content, 7_919)
    const before = await readEverything(full.sql)
    for (const [table, rows] of Object.entries(before)) expect(rows.length, `${table} has rows`).toBeGreaterThan(0)
    expect(await readEverything(empty.sql)).toEqual(before)
    expect(counts).toMatchObject({ accounts: 2, messages: 500 })
    const { id } = await someAccount(empty.store)
    expect(id).toBe((await someAccount(full.store)).id)
    const [appended] = await empty.store.archive.append([someMessage(id, id)])
    expect(appended).toMatchObject({ positions: [{ owner: id, seq: 1 }] })
  })

  it('takes nothing into a store that has rows', async () => {
    await expect(load(full, await dump(full))).rejects.toThrow(/The store is not empty \(table \w+\)/)
  })

  it('is a snapshot: what is written meanwhile is not in it, and is not held up', async () => {
    const { id } = await someAccount(full.store)
    const [before] = await full.sql<{ n: string }>('SELECT count(*) AS n FROM messages')
    let wrote = false
    const chunks: Buffer[] = []
    const output = new Writable({
      write(chunk: Buffer, _encoding, done) {
        chunks.push(chunk)
        if (wrote || !chunk.toString().startsWith('table ')) return done()
        wrote = true
        full.store.archive.append([someMessage(id, id)]).then(() => done(), done)
      },
    })
    const counts = await withClient(full, (client) => writeDump(client, output))
    expect(wrote).toBe(true)
    expect(counts.messages).toBe(Number(before?.n))
  })
})
