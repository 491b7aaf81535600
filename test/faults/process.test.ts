// The life of the process: one per data folder, an orphaned database, an end that everybody is told of.
import { join } from 'node:path'
import { connectAsync } from 'mqtt'
import { expect, it, onTestFinished } from 'vitest'
import { eventually } from '../helpers/eventually.ts'
import { isAlive, passwordOf, runCli, type Server, startServer } from '../helpers/process.ts'
import { scratchFolder } from '../helpers/store.ts'
import { loginClient } from '../script/xmpp-client.ts'

async function start(): Promise<Server> {
  const server = await startServer()
  onTestFinished(server.dispose)
  return server
}

it('a second server on the same data folder is refused with a clear message and exit 1', async () => {
  const server = await start()
  const second = await runCli(['start'], { dataDir: server.dataDir })
  expect(second.code).toBe(1)
  expect(second.output).toContain(`Another ClearBox runs on the data folder ${server.dataDir}`)
  expect((await fetch(`${server.http}/ready`)).status).toBe(200)
})

it('a first start that fails does not take the password of admin with it', async () => {
  const other = await start()
  const folder = await scratchFolder()
  onTestFinished(folder.remove)
  const dataDir = join(folder.path, 'data')
  const failed = await runCli(['start'], { dataDir, env: { CLEARBOX_HTTP_PORT: String(other.ports.http) } })
  expect(failed.code).toBe(1)
  expect(failed.output).toContain(`port ${other.ports.http}: another program listens there already`)
  const server = await startServer({ dataDir })
  onTestFinished(server.dispose)
  await eventually(() => /Account admin@localhost, password \S+ \(shown this once\)/.test(server.output()))
})

it('the database of a killed broker is taken over as it runs', async () => {
  const killed = await start()
  const orphan = await killed.databasePid()
  await killed.kill('broker')
  expect(orphan !== null && isAlive(orphan)).toBe(true)
  const server = await killed.restart()
  onTestFinished(server.dispose)
  expect(await server.databasePid()).toBe(orphan)
  console.log(`ready after ${killed.startMs} ms the first time, ${server.startMs} ms beside an orphaned database`)
})

it('a database that was killed with its broker comes back', async () => {
  const killed = await start()
  await killed.kill('broker and database')
  expect(await killed.databasePid()).toBeNull()
  const server = await killed.restart()
  onTestFinished(server.dispose)
  expect((await fetch(`${server.http}/ready`)).status).toBe(200)
  console.log(`ready after ${server.startMs} ms when both were killed`)
})

for (const [name, signal, whom] of [
  ['SIGTERM', 'SIGTERM', 'process'],
  ['Ctrl-C (SIGINT to the process group)', 'SIGINT', 'group'],
] as const) {
  it(`${name} tells the clients, stops the database and exits with 0`, async () => {
    const server = await start()
    await server.addUser('alice')
    const mqtt = await connectAsync(`mqtt://127.0.0.1:${server.ports.mqtt}`, {
      username: 'alice',
      password: passwordOf('alice'),
      protocolVersion: 5,
      reconnectPeriod: 0,
    })
    const xmpp = await loginClient(server.ports.xmpp, 'alice')
    const disconnect = new Promise((resolve) => mqtt.once('disconnect', resolve))
    const database = await server.databasePid()
    const ending = server.end(signal, whom)
    expect(await disconnect).toMatchObject({ reasonCode: 0x8b })
    expect(await xmpp.streamError()).toBe('system-shutdown')
    expect(await ending).toEqual({ code: 0, signal: null })
    await eventually(() => database !== null && !isAlive(database))

    const again = await server.restart()
    onTestFinished(again.dispose)
    console.log(`ready after ${again.startMs} ms after a clean stop`)
  })
}
