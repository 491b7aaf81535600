// A PostgreSQL server of others stops, stands still, is restarted or killed under load; the broker too.
import { setTimeout as pause } from 'node:timers/promises'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { eventually } from '../helpers/eventually.ts'
import { type Bench, createBench } from '../helpers/load-round.ts'
import { type PostgresServer, startPostgres } from '../helpers/postgres-server.ts'
import type { Server } from '../helpers/process.ts'

let database: PostgresServer
let bench: Bench
beforeAll(async () => {
  database = await startPostgres()
  bench = await createBench({ env: { CLEARBOX_DATABASE_URL: await database.createDatabase() } })
})
afterAll(async () => {
  await bench.dispose()
  await database.dispose()
})

const readyStatus = async ({ http }: Server) => (await fetch(`${http}/ready`)).status

it('20 s without database: /ready says no, /health yes, and it goes on where it stood', async () => {
  const report = await bench.outage(async (server) => {
    await database.stop('fast')
    await pause(20_000)
    expect(await readyStatus(server)).toBe(503)
    expect((await fetch(`${server.http}/health`)).status).toBe(200)
    await database.start()
  })
  console.log('20 s away', JSON.stringify(report))
  await eventually(async () => (await readyStatus(bench.server())) === 200)
}, 120_000)

for (const mode of ['immediate', 'fast'] as const) {
  it(`a restart under load (pg_ctl -m ${mode}) loses and repeats nothing that was acknowledged`, async () => {
    const report = await bench.outage(async () => {
      await database.stop(mode)
      await database.start()
    })
    console.log(mode, JSON.stringify(report))
  }, 120_000)
}

it('a server that stands still for 10 s goes on', async () => {
  const report = await bench.outage(async () => {
    await database.signal('SIGSTOP')
    await pause(10_000)
    await database.signal('SIGCONT')
  })
  console.log('frozen', JSON.stringify(report))
}, 120_000)

it('connections that an administrator ends under load are made anew', async () => {
  const report = await bench.outage(async () => {
    await database.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE 'clearbox%'")
  })
  console.log('terminated', JSON.stringify(report))
}, 120_000)

for (const victims of ['broker', 'broker and database', 'broker'] as const) {
  it(`kill -9 of ${victims} under load loses and repeats nothing that was acknowledged`, async () => {
    const report = await bench.round(victims, async (server) => {
      // What is acknowledged while the database stands still cannot be durable: the check finds it missing.
      if (victims !== 'broker') await database.signal('SIGSTOP')
      if (victims !== 'broker') await pause(100)
      await Promise.all([server.kill('broker'), ...(victims === 'broker' ? [] : [database.signal('SIGKILL')])])
      if (victims !== 'broker') await eventually(() => database.start().then(() => true))
    })
    console.log(JSON.stringify(report))
    expect(report.acknowledged).toBeGreaterThan(200)
  }, 120_000)
}
