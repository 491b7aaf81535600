// Making the database cluster: built beside its place and renamed into it, so that a half-made one is never met.
import { randomBytes } from 'node:crypto'
import { mkdir, open, readdir, readFile, rename, rm, stat } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { StoreStartError } from '../start-error.ts'
import type { Binaries } from './binaries.ts'
import { type RunAs, runAsForNew, runAsOwner, runThrough } from './run-as.ts'

const ABANDONED_AFTER_MS = 5 * 60_000

/** The major version of the cluster; null: there is none yet. */
async function clusterMajor(cluster: string): Promise<number | null> {
  const text = await readFile(join(cluster, 'PG_VERSION'), 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return null
    throw new StoreStartError(`The database in ${cluster} cannot be read: ${error.message}`, { cause: error })
  })
  return text === null ? null : Number(text)
}

/** Makes the cluster if need be and says as whom it runs. @throws StoreStartError */
export async function prepareCluster(cluster: string, binaries: Binaries): Promise<RunAs> {
  const major = await clusterMajor(cluster)
  if (major !== null) {
    checkMajor(cluster, major, binaries)
    return runAsOwner(cluster, binaries)
  }
  await removeAbandoned(cluster)
  const building = `${cluster}.new-${process.pid}-${randomBytes(4).toString('hex')}`
  await mkdir(building, { mode: 0o700 })
  try {
    const as = await runAsForNew(building, binaries)
    await initialise(building, binaries, as)
    await settle(building, cluster)
  } finally {
    await rm(building, { recursive: true, force: true })
  }
  return runAsOwner(cluster, binaries)
}

function checkMajor(cluster: string, major: number, binaries: Binaries): void {
  if (major === binaries.major) return
  throw new StoreStartError(
    `The database in ${cluster} was made by PostgreSQL ${major}; this release runs PostgreSQL ${binaries.major}. Export ` +
      `it with the release that made it (\`clearbox export\`) and import it here, or name the folder of a PostgreSQL ` +
      `${major} in database.binDir.`,
  )
}

async function initialise(folder: string, binaries: Binaries, as: RunAs): Promise<void> {
  // From PostgreSQL 17 on, text sorts by code point and lower() knows Unicode, whatever the system's C library.
  const locale = binaries.major >= 17 ? ['--locale-provider=builtin', '--locale=C.UTF-8'] : ['--locale=C']
  const args = [
    '-D',
    folder,
    '-U',
    'clearbox',
    '--auth-local=trust',
    '--auth-host=reject',
    '-E',
    'UTF8',
    '-k',
    ...locale,
  ]
  const outcome = await runThrough(as, binaries.initdb, args)
  if (outcome.status !== 0) throw new StoreStartError(`The database could not be made:\n${outcome.output.trim()}`)
  const file = await open(join(folder, 'postgresql.conf'), 'a')
  try {
    await file.write(settings(binaries.major))
    await file.sync()
  } finally {
    await file.close()
  }
}

/** Small, and durable: `fsync` and `synchronous_commit` keep their defaults. */
function settings(major: number): string {
  return `
# ClearBox: small settings for a database of its own. Yours to change.
max_connections = 40
shared_buffers = 32MB
work_mem = 4MB
maintenance_work_mem = 32MB
wal_level = minimal
max_wal_senders = 0
max_wal_size = 512MB
min_wal_size = 32MB
max_worker_processes = 2
max_parallel_workers = 0
max_logical_replication_workers = 0
autovacuum_max_workers = 2
jit = off
${major >= 18 ? 'io_method = sync\n' : ''}timezone = 'UTC'
log_timezone = 'UTC'
# Statements and messages' texts never reach the log.
log_min_messages = log
log_min_error_statement = panic
log_error_verbosity = terse
log_checkpoints = off
`
}

/** Another process may have been quicker: then its cluster is the one. */
async function settle(building: string, cluster: string): Promise<void> {
  try {
    await rename(building, cluster)
  } catch (error) {
    if ((await clusterMajor(cluster)) === null) throw error
    return
  }
  const parent = await open(dirname(cluster), 'r')
  try {
    await parent.sync()
  } finally {
    await parent.close()
  }
}

async function removeAbandoned(cluster: string): Promise<void> {
  const parent = dirname(cluster)
  for (const name of await readdir(parent)) {
    if (!name.startsWith(`${basename(cluster)}.new-`)) continue
    const folder = join(parent, name)
    const found = await stat(folder).catch(() => null)
    if (found !== null && (isGone(name) || Date.now() - found.mtimeMs > ABANDONED_AFTER_MS)) {
      await rm(folder, { recursive: true, force: true })
    }
  }
}

/** Whether the process that was building it has ended. */
function isGone(name: string): boolean {
  const pid = Number(/\.new-(\d+)-/.exec(name)?.[1])
  try {
    process.kill(pid, 0)
    return false
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'ESRCH'
  }
}
