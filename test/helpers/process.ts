// The built product as a process of its own: started, asked, killed, started again on the same data.
import { type ChildProcess, type SpawnOptions, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import type { Listening } from '../../broker/types.ts'
import { readClaim } from '../../storage/embedded/postmaster.ts'
import { eventually } from './eventually.ts'
import { scratchFolder } from './store.ts'

export const root = fileURLToPath(new URL('../../', import.meta.url))

const frozenMs = 100

export type ServerOptions = Readonly<{
  env?: Readonly<Record<string, string>>
  /** A configuration file. */
  config?: string
  /** Folder of the product that is run; default: this one. */
  product?: string
  /** What runs it, such as `setpriv --reuid=…`. */
  through?: readonly string[]
  /** An existing folder; default: a scratch folder, which `dispose` removes. */
  dataDir?: string
}>

export type Exit = Readonly<{ code: number | null; signal: NodeJS.Signals | null }>

export type Server = Readonly<{
  pid: number
  /** 0: off. */
  ports: Readonly<Record<'mqtt' | 'mqtts' | 'xmpp' | 'xmpps' | 'http' | 'https' | 'metrics', number>>
  http: string
  dataDir: string
  /** From the call of the program to its line `ready`. */
  startMs: number
  /** Resolves when it has ended. */
  exited: Promise<Exit>
  /** Standard output and standard error so far. */
  output: () => string
  /** Makes an account with the command line; the password is `<name>-pw`. */
  addUser: (name: string, role?: 'admin' | 'user') => Promise<void>
  /** Sends a signal to the process, or as Ctrl-C does to its whole process group, and waits for the end. */
  end: (signal: NodeJS.Signals, whom?: 'process' | 'group') => Promise<Exit>
  /** `kill -9`, of the database too if so wished. Resolves when what was killed is gone. */
  kill: (what?: 'broker' | 'broker and database') => Promise<void>
  databasePid: () => Promise<number | null>
  /** On the same data, with new ports. The old one must have ended. */
  restart: () => Promise<Server>
  /** Kills what is left and removes the scratch folder. */
  dispose: () => Promise<void>
}>

export const passwordOf = (name: string) => `${name}-pw`

/** Resolves when it is ready to be talked to. @throws what it said when it ended instead */
export async function startServer(options: ServerOptions = {}): Promise<Server> {
  if (options.dataDir !== undefined) return startOn(options.dataDir, options, async () => {})
  const folder = await scratchFolder()
  return startOn(join(folder.path, 'data'), options, folder.remove)
}

async function startOn(dataDir: string, options: ServerOptions, removeFolder: () => Promise<void>): Promise<Server> {
  const running = run(
    ['start', ...(options.config === undefined ? [] : ['--config', options.config])],
    { ...options, dataDir },
    { detached: true, stdio: ['ignore', 'pipe', 'pipe'] },
  )
  const { child, exited, output } = running
  const beganAt = performance.now()
  const listening = await readReady(running)
  const startMs = Math.round(performance.now() - beganAt)
  const portOf = (name: string) => listening.find((listener) => listener.name === name)?.port ?? 0
  const ports = {
    mqtt: portOf('mqtt'),
    mqtts: portOf('mqtts'),
    xmpp: portOf('xmpp'),
    xmpps: portOf('xmpps'),
    http: portOf('http'),
    https: portOf('https'),
    metrics: portOf('metrics'),
  }

  const server: Server = {
    pid: child.pid ?? 0,
    ports,
    http: `http://127.0.0.1:${ports.http}`,
    dataDir,
    startMs,
    exited,
    output,
    async addUser(name, role = 'user') {
      const args = ['user', 'add', name, '--password-stdin', '--role', role]
      const ended = await runCli(args, { ...options, dataDir }, `${passwordOf(name)}\n`)
      if (ended.code !== 0) throw new Error(`user add ${name}: ${ended.output}`)
    },
    async end(signal, whom = 'process') {
      send(whom === 'group' ? -server.pid : server.pid, signal)
      return exited
    },
    async kill(what = 'broker') {
      const database = what === 'broker' ? null : await server.databasePid()
      const serving = database === null ? [] : await withChildren(database)
      // What is acknowledged while the database stands still cannot be durable: the check finds it missing.
      if (serving.length > 0) await signalAll('STOP', serving)
      if (serving.length > 0) await pause(frozenMs)
      await signalAll('KILL', [server.pid, ...serving])
      await exited
    },
    databasePid: () => databasePid(dataDir),
    restart: () => startOn(dataDir, options, removeFolder),
    async dispose() {
      send(server.pid, 'SIGKILL')
      await exited
      const database = await databasePid(dataDir)
      if (database !== null) await signalAll('KILL', await withChildren(database))
      await removeFolder()
    },
  }
  return server
}

/** Runs a command of the command line to its end. */
export async function runCli(
  args: readonly string[],
  options: ServerOptions & Readonly<{ dataDir: string }>,
  input = '',
): Promise<Exit & Readonly<{ output: string }>> {
  const { child, exited, output } = run(args, options, { stdio: ['pipe', 'pipe', 'pipe'] })
  child.stdin?.end(input)
  return { ...(await exited), output: output() }
}

type Running = Readonly<{ child: ChildProcess; exited: Promise<Exit>; output: () => string }>

function run(
  args: readonly string[],
  { env = {}, product = root, through = [], dataDir }: ServerOptions & Readonly<{ dataDir: string }>,
  spawning: SpawnOptions,
): Running {
  const [command = '', ...rest] = [...through, process.execPath, join(product, 'bin/clearbox.js'), ...args]
  const child = spawn(command, rest, {
    cwd: product,
    env: {
      PATH: process.env.PATH,
      CLEARBOX_DATA_DIR: dataDir,
      CLEARBOX_MQTT_PORT: '0',
      CLEARBOX_XMPP_PORT: '0',
      CLEARBOX_HTTP_PORT: '0',
      CLEARBOX_MQTTS_PORT: '0',
      CLEARBOX_XMPPS_PORT: '0',
      CLEARBOX_HTTPS_PORT: '0',
      ...env,
    },
    ...spawning,
  })
  let said = ''
  for (const stream of [child.stdout, child.stderr]) {
    stream?.setEncoding('utf8').on('data', (text: string) => {
      said += text
    })
  }
  const exited = once(child, 'close').then(([code, signal]) => ({ code, signal }) as Exit)
  return { child, exited, output: () => said }
}

/** The line of the log that tells the real ports. */
function readReady({ child, exited, output }: Running): Promise<readonly Listening[]> {
  return new Promise((resolve, reject) => {
    child.stderr?.on('data', () => {
      const line = output()
        .split('\n')
        .find((text) => text.startsWith('{') && text.includes('"msg":"ready"') && text.endsWith('}'))
      if (line !== undefined) resolve((JSON.parse(line) as { listening: readonly Listening[] }).listening)
    })
    exited.then(({ code }) => reject(new Error(`the server ended with ${code}: ${output()}`)), reject)
  })
}

async function databasePid(dataDir: string): Promise<number | null> {
  const claim = await readClaim(join(dataDir, 'postgres'))
  return claim !== null && isAlive(claim.pid) ? claim.pid : null
}

/** The database and the processes that serve its connections. */
async function withChildren(pid: number): Promise<readonly number[]> {
  const children = await readFile(`/proc/${pid}/task/${pid}/children`, 'utf8').catch(() => '')
  return [pid, ...children.split(' ').map(Number)].filter((child) => child > 0)
}

/** At once, and by another process: this one is busy with its clients, and would only ever kill between their turns. */
async function signalAll(signal: 'STOP' | 'KILL', pids: readonly number[]): Promise<void> {
  await once(spawn('kill', [`-${signal}`, ...pids.map(String)], { stdio: 'ignore' }), 'close')
  if (signal === 'KILL') await eventually(() => !pids.some(isAlive))
}

function send(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal)
  } catch {
    // It has gone already.
  }
}

export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM'
  }
}
