// The embedded database goes away, stands still or is killed under load: the broker stays, and nothing acknowledged is lost.
import { readFile } from 'node:fs/promises'
import { setTimeout as pause } from 'node:timers/promises'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { eventually } from '../helpers/eventually.ts'
import { type Bench, createBench } from '../helpers/load-round.ts'
import { isAlive, type Server } from '../helpers/process.ts'

let bench: Bench
beforeAll(async () => {
  bench = await createBench()
})
afterAll(() => bench.dispose())

const readyStatus = async ({ http }: Server) => (await fetch(`${http}/ready`)).status

async function databasePid(server: Server): Promise<number> {
  const pid = await server.databasePid()
  if (pid === null) throw new Error('the database does not run')
  return pid
}

async function backends(pid: number): Promise<readonly number[]> {
  const children = await readFile(`/proc/${pid}/task/${pid}/children`, 'utf8').catch(() => '')
  return children
    .split(' ')
    .map(Number)
    .filter((child) => child > 0)
}

function signalAll(pids: readonly number[], name: NodeJS.Signals): void {
  for (const pid of pids) {
    try {
      process.kill(pid, name)
    } catch {
      // It has ended meanwhile.
    }
  }
}

for (const [what, signal] of [
  ['an immediate shutdown', 'SIGQUIT'],
  ['a fast shutdown', 'SIGINT'],
  ['kill -9', 'SIGKILL'],
] as const) {
  it(`${what} of the database under load: it is started again, and all that was acknowledged is there`, async () => {
    const report = await bench.outage(async (server) => {
      const pid = await databasePid(server)
      process.kill(pid, signal)
      await eventually(() => !isAlive(pid), 30_000)
    })
    console.log(what, JSON.stringify(report))
    await eventually(async () => (await readyStatus(bench.server())) === 200)
  })
}

it('a database that stands still for 12 s: /ready says no, connections wait, nothing is refused for good', async () => {
  const report = await bench.outage(async (server) => {
    const pid = await databasePid(server)
    const stopped = [pid, ...(await backends(pid))]
    signalAll(stopped, 'SIGSTOP')
    await pause(12_000)
    expect(await readyStatus(server)).toBe(503)
    signalAll(stopped, 'SIGCONT')
  })
  console.log('frozen', JSON.stringify(report))
  await eventually(async () => (await readyStatus(bench.server())) === 200)
})
