// A broker under test: a process of its own on a free port, in a scratch folder.
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createServer } from 'node:net'
import { onBrokerCpu } from '../cpu.ts'
import type { BrokerName } from '../options.ts'

export type Login = Readonly<{ username: string; password: string }>

/** CPU time since the start of the process, microseconds. */
export type CpuReading = Readonly<{ brokerUs: number; databaseUs: number }>

export interface RunningBroker {
  readonly name: BrokerName
  readonly port: number
  readonly logins: readonly Login[]
  cpu(): CpuReading
  rss(): number
  /** False once the process has ended by itself. */
  isAlive(): boolean
  stop(): Promise<void>
}

/** What is prepared once (accounts, folders) and then started afresh for every run. */
export interface BrokerUnderTest {
  readonly name: BrokerName
  readonly version: string
  start(): Promise<RunningBroker>
  remove(): void
}

/** All clients share these accounts; each has a client id of its own. */
export const logins: readonly Login[] = [1, 2, 3, 4, 5].map((n) => ({
  username: `bench${n}`,
  password: `secret-of-bench${n}`,
}))

export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  server.close()
  await once(server, 'close')
  if (address === null || typeof address === 'string') throw new Error('no free port')
  return address.port
}

export type BrokerProcess = Readonly<{
  child: ChildProcess
  pid: number
  /** The last lines that it wrote, for error messages. */
  tail(): string
  isAlive(): boolean
  stop(): Promise<void>
}>

export async function startProcess(
  command: string,
  args: readonly string[],
  env: NodeJS.ProcessEnv,
): Promise<BrokerProcess> {
  const [program, programArgs] = onBrokerCpu(command, args)
  const child = spawn(program, programArgs, { env, stdio: ['ignore', 'pipe', 'pipe'] })
  let output = ''
  const keep = (chunk: Buffer): void => {
    output = (output + chunk.toString('utf8')).slice(-4000)
  }
  child.stdout.on('data', keep)
  child.stderr.on('data', keep)
  await once(child, 'spawn')
  const endWithUs = (): boolean => child.kill()
  process.once('exit', endWithUs)
  child.once('exit', () => process.off('exit', endWithUs))
  const isAlive = (): boolean => child.exitCode === null && child.signalCode === null
  return {
    child,
    pid: child.pid ?? 0,
    tail: () => output,
    isAlive,
    async stop() {
      if (!isAlive()) return
      const ended = once(child, 'exit')
      child.kill('SIGTERM')
      const timer = setTimeout(() => child.kill('SIGKILL'), 15_000)
      await ended
      clearTimeout(timer)
    },
  }
}

/** Waits until `ready` says so. @throws Error with the process's last words when it ends or takes too long */
export async function untilReady(broker: BrokerProcess, ready: () => Promise<boolean>): Promise<void> {
  const deadline = Date.now() + 60_000
  while (!(await ready())) {
    if (!broker.isAlive() || Date.now() > deadline) {
      await broker.stop()
      throw new Error(`the broker did not become ready:\n${broker.tail()}`)
    }
    await new Promise((resolve) => setTimeout(resolve, 25))
  }
}
