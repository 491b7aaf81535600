// A PostgreSQL server of the system's, in a scratch folder on a free port: the one that others would run.
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { readdirSync } from 'node:fs'
import { appendFile, chown, mkdir, readFile, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { Client } from 'pg'
import { type Binaries, findBinaries } from '../../storage/embedded/binaries.ts'
import { type RunAs, runAsForNew, runThrough } from '../../storage/embedded/run-as.ts'
import { scratchFolder } from './scratch-folder.ts'

export type PostgresServer = Readonly<{
  port: number
  folder: string
  /** Of the superuser, or of a user that was made since. */
  url: (database: string, user?: string, password?: string) => string
  /** A new, empty database; answers its URL. */
  createDatabase: (options?: string) => Promise<string>
  /** As superuser, in a database of the server. */
  sql: <Row extends object>(text: string, database?: string) => Promise<Row[]>
  start: () => Promise<void>
  /** `immediate`: as by a crash, without writing anything more. */
  stop: (mode: 'fast' | 'immediate') => Promise<void>
  /** To the server and all the processes that serve its connections. */
  signal: (name: 'SIGSTOP' | 'SIGCONT' | 'SIGKILL') => Promise<void>
  dispose: () => Promise<void>
}>

export type PostgresOptions = Readonly<{
  /** Lines for postgresql.conf. */
  settings?: readonly string[]
  /** PEM: then it speaks TLS too. */
  tls?: Readonly<{ cert: string; key: string }>
  /** Folder for the data, such as a small file system; default: a scratch folder. */
  folder?: string
}>

const PASSWORD = randomBytes(9).toString('base64url')
const DEBIAN = '/usr/lib/postgresql'

/** @throws when it is not installed, with the line that installs it */
export async function startPostgres({ settings = [], tls, folder }: PostgresOptions = {}): Promise<PostgresServer> {
  const binaries = await systemBinaries()
  const scratch = await scratchFolder()
  const data = join(folder ?? scratch.path, 'cluster')
  await mkdir(data, { mode: 0o700 })
  const as = await runAsForNew(data, binaries)
  const port = await freePort()
  await initialise(data, as, binaries)
  const own = [
    `port = ${port}`,
    "listen_addresses = '127.0.0.1'",
    "unix_socket_directories = ''",
    'logging_collector = off',
    ...(tls === undefined ? [] : ['ssl = on']),
    ...settings,
  ]
  await appendFile(join(data, 'postgresql.conf'), `\n${own.join('\n')}\n`)
  for (const [name, text] of [['server.crt', tls?.cert] as const, ['server.key', tls?.key] as const]) {
    if (text !== undefined) await writeOwned(join(data, name), text, as)
  }
  const server = createControl({ data, port, as, binaries })
  await server.start()
  return {
    ...server,
    async dispose() {
      await server.signal('SIGCONT')
      await server.stop('immediate')
      await scratch.remove()
    },
  }
}

async function systemBinaries(): Promise<Binaries> {
  const given = process.env.CLEARBOX_TEST_BIN_DIR
  if (given !== undefined) return findBinaries(given)
  const majors = listed(DEBIAN).map(Number).filter(Number.isInteger)
  const newest = Math.max(...majors)
  if (majors.length > 0) return findBinaries(join(DEBIAN, String(newest), 'bin'))
  throw new Error('These tests need a PostgreSQL server: apt-get install -y --no-install-recommends postgresql')
}

function listed(folder: string): readonly string[] {
  try {
    return readdirSync(folder)
  } catch {
    return []
  }
}

async function writeOwned(path: string, text: string, as: RunAs): Promise<void> {
  await writeFile(path, text, { mode: 0o600 })
  if (as.ids !== null) await chown(path, as.ids.uid, as.ids.gid)
}

async function initialise(data: string, as: RunAs, binaries: Binaries): Promise<void> {
  const passwordFile = `${data}.password`
  await writeOwned(passwordFile, `${PASSWORD}\n`, as)
  const args = [
    '-D',
    data,
    '-U',
    'postgres',
    '-A',
    'scram-sha-256',
    '--pwfile',
    passwordFile,
    '-E',
    'UTF8',
    '--locale=C',
  ]
  const made = await runThrough(as, binaries.initdb, [...args, '--no-sync'])
  if (made.status !== 0) throw new Error(made.output)
}

async function freePort(): Promise<number> {
  const probe = createServer().listen(0, '127.0.0.1')
  await once(probe, 'listening')
  const address = probe.address()
  await new Promise((resolve) => probe.close(resolve))
  if (address === null || typeof address === 'string') throw new Error('no port')
  return address.port
}

type ControlDeps = Readonly<{ data: string; port: number; as: RunAs; binaries: Binaries }>

function createControl({ data, port, as, binaries }: ControlDeps): Omit<PostgresServer, 'dispose'> {
  const control = join(binaries.postgres, '..', 'pg_ctl')
  let databases = 0

  const url = (database: string, user = 'postgres', password = PASSWORD) =>
    `postgres://${user}:${encodeURIComponent(password)}@127.0.0.1:${port}/${database}`

  async function run(...args: readonly string[]): Promise<void> {
    const ended = await runThrough(as, control, ['-D', data, '-w', '-t', '60', ...args])
    if (ended.status !== 0) throw new Error(`pg_ctl ${args.join(' ')}: ${ended.output}`)
  }

  async function sql<Row extends object>(text: string, database = 'postgres'): Promise<Row[]> {
    const client = new Client(url(database))
    await client.connect()
    try {
      return (await client.query<Row>(text)).rows
    } finally {
      await client.end()
    }
  }

  return {
    port,
    folder: data,
    url,
    sql,
    async createDatabase(options = '') {
      databases += 1
      const name = `test_${databases}`
      await sql(`CREATE DATABASE ${name} ${options}`)
      return url(name)
    },
    start: () => run('-l', join(data, 'server.log'), 'start'),
    async stop(mode) {
      if ((await processes(data)).length > 0) await run('-m', mode, 'stop')
    },
    async signal(name) {
      for (const pid of await processes(data)) {
        try {
          process.kill(pid, name)
        } catch {
          // It has ended meanwhile.
        }
      }
    },
  }
}

/** The server and its children; none when it does not run. */
async function processes(data: string): Promise<readonly number[]> {
  const claim = await readFile(join(data, 'postmaster.pid'), 'utf8').catch(() => '')
  const pid = Number(claim.split('\n')[0])
  if (!(pid > 0)) return []
  const children = await readFile(`/proc/${pid}/task/${pid}/children`, 'utf8').catch(() => null)
  return children === null
    ? []
    : [
        pid,
        ...children
          .split(' ')
          .map(Number)
          .filter((child) => child > 0),
      ]
}
