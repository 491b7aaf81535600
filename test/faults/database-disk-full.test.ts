// The disk of the data folder is full under load: nothing is acknowledged that is not kept, and space alone mends it.
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { Client } from 'pg'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { clientConfig } from '../../storage/embedded/attach.ts'
import { readClaim } from '../../storage/embedded/postmaster.ts'
import { eventually } from '../helpers/eventually.ts'
import { type Bench, createBench } from '../helpers/load-round.ts'
import type { Server } from '../helpers/process.ts'
import { mountHint, mountSmallDisk, type SmallDisk } from '../helpers/small-disk.ts'

let disk: SmallDisk | null
let bench: Bench
beforeAll(async () => {
  disk = await mountSmallDisk(256)
  if (disk !== null) bench = await createBench({ dataDir: join(disk.path, 'data') })
})
afterAll(async () => {
  if (disk === null) return
  await bench.dispose()
  await disk.remove()
})

const readyStatus = async ({ http }: Server) => (await fetch(`${http}/ready`)).status

/** Full, and kept so, until messages wait so long that /ready says no. */
async function fillUntilUnready(full: SmallDisk, server: Server): Promise<void> {
  await eventually(async () => {
    await full.fill()
    await pause(100)
    return (await readyStatus(server)) === 503
  }, 60_000)
}

it('tables cannot grow: messages wait, and are stored when there is space', async ({ skip }) => {
  const full = disk ?? skip(mountHint)
  const report = await bench.outage(async (server) => {
    await fillUntilUnready(full, server)
    expect((await fetch(`${server.http}/health`)).status).toBe(200)
    await full.free()
  })
  console.log('tables', JSON.stringify(report))
  await eventually(async () => (await readyStatus(bench.server())) === 200)
})

it('the write-ahead log cannot grow, so that the database gives up: it comes back when there is space', async ({
  skip,
}) => {
  const full = disk ?? skip(mountHint)
  const report = await bench.outage(async (server) => {
    await full.fill()
    const pid = await server.databasePid()
    await useUpWal(server)
    await fillUntilUnready(full, server)
    console.log(`the database was process ${pid}, now it is ${await server.databasePid()}`)
    await full.free()
  })
  console.log('write-ahead log', JSON.stringify(report))
  await eventually(async () => (await readyStatus(bench.server())) === 200)
})

/** Each segment that was made in advance is begun and left, until one must be made anew. */
async function useUpWal(server: Server): Promise<void> {
  const claim = await readClaim(join(server.dataDir, 'postgres'))
  const client = new Client(clientConfig(claim?.socketFolder ?? ''))
  client.on('error', () => undefined)
  await client.connect()
  const used = async () => {
    for (let i = 0; i < 200; i++) {
      await client.query("SELECT pg_logical_emit_message(false, 'test', repeat('x', 100000))")
      await client.query('SELECT pg_switch_wal()')
    }
  }
  await expect(used()).rejects.toThrow()
  await client.end().catch(() => undefined)
}
