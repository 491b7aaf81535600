// A broker under test: a process of its own on a free port, in a scratch folder.
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { connect, createServer } from 'node:net'
import { onBrokerCpu, processStat, rssBytes } from '../cpu.ts'
import type { BrokerName } from './broker-name.ts'

export type Login = Readonly<{ username: string; password: string }>

/** CPU time since the start of the process, microseconds. */
export type CpuReading = Readonly<{ brokerUs: number; databaseUs: number }>

export type Protocol = 'mqtt' | 'xmpp' | 'http'

export interface RunningBroker {
  readonly name: BrokerName
  /** On 127.0.0.1, for the protocols that it speaks. */
  readonly ports: Readonly<Partial<Record<Protocol, number>>>
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

/** All MQTT clients share these accounts; each has a client id of its own. */
export const logins = accounts('bench', 5)

/** For chat, where the account is the address. */
export const chatLogins = accounts('chat', 200)

/** The domain of chat addresses. */
export const chatDomain = 'localhost'

function accounts(prefix: string, count: number): readonly Login[] {
  return Array.from({ length: count }, (_, index) => {
    const username = `${prefix}${index + 1}`
    return { username, password: `secret-of-${username}` }
  })
}

/** @throws Error when the broker does not speak it */
export function portOf({ name, ports }: RunningBroker, protocol: Protocol): number {
  const port = ports[protocol]
  if (port === undefined) throw new Error(`${name} does not speak ${protocol}`)
  return port
}

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

/** Whether something listens there. */
export async function accepts(port: number): Promise<boolean> {
  return await new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1', () => {
      socket.destroy()
      resolve(true)
    })
    socket.on('error', () => resolve(false))
  })
}

/** One process, without a database. */
export function singleProcess(name: BrokerName, broker: BrokerProcess, ports: RunningBroker['ports']): RunningBroker {
  return {
    name,
    ports,
    cpu: () => ({ brokerUs: processStat(broker.pid)?.ownUs ?? 0, databaseUs: 0 }),
    rss: () => rssBytes(broker.pid),
    isAlive: broker.isAlive,
    stop: broker.stop,
  }
}
