// The server process: what its lock file says, starting it, stopping it.
import type { ChildProcess } from 'node:child_process'
import { open, readFile, readlink, unlink } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import type { Binaries } from './binaries.ts'
import { type Folders, openLog } from './folders.ts'
import { childEnvironment, run } from './run.ts'
import { type RunAs, spawnThrough } from './run-as.ts'

/** A claim to be checked by connecting: the file outlives its process, and process ids are used again. */
export type Claim = Readonly<{ pid: number; socketFolder: string | null }>

const STOP_TIMEOUT_MS = 60_000

/** postmaster.pid: process id, data folder, start time, port, socket folder, … one per line. */
export async function readClaim(cluster: string): Promise<Claim | null> {
  const text = await readFile(join(cluster, 'postmaster.pid'), 'utf8').catch(() => null)
  if (text === null) return null
  const lines = text.split('\n')
  return { pid: Number(lines[0]), socketFolder: lines[4]?.trim() || null }
}

/** Detached, because Ctrl-C would stop it before the broker has flushed. */
export async function startPostmaster(
  folders: Folders,
  socketFolder: string,
  binaries: Binaries,
  as: RunAs,
): Promise<ChildProcess> {
  const log = await openLog(folders.log)
  try {
    const settings = [
      'listen_addresses=',
      'port=5432',
      `unix_socket_directories="${socketFolder.replaceAll('"', '""')}"`,
      'unix_socket_permissions=0700',
      'logging_collector=off',
    ]
    const args = ['-D', folders.cluster, ...settings.flatMap((setting) => ['-c', setting])]
    const child = spawnThrough(as, binaries.postgres, args, {
      cwd: '/',
      env: childEnvironment(),
      detached: true,
      stdio: ['ignore', log.fd, log.fd],
    })
    child.unref()
    return child
  } finally {
    await log.close()
  }
}

/**
 * PostgreSQL takes its lock files for live ones when any process of its user has their process id, as happens in a
 * container after both were killed. Files that no server of this cluster stands behind get our own process id: as the
 * parent's it counts as dead, and the check for shared memory still in use, which needs the file, is kept.
 */
export async function disownStaleLocks(cluster: string, socketFolder: string): Promise<void> {
  for (const path of [join(cluster, 'postmaster.pid'), join(socketFolder, '.s.PGSQL.5432.lock')]) {
    const text = await readFile(path, 'utf8').catch(() => null)
    if (text === null) continue
    if (text.trim() === '') {
      await unlink(path)
      continue
    }
    const [first = '', ...rest] = text.split('\n')
    if (await isPostmaster(Number(first), cluster)) continue
    const file = await open(path, 'r+')
    try {
      const renewed = Buffer.from([String(process.pid), ...rest].join('\n'))
      await file.truncate(renewed.length)
      await file.write(renewed, 0, renewed.length, 0)
    } finally {
      await file.close()
    }
  }
}

/** Whether that process is a PostgreSQL server on this cluster: it was started with it, or lives in it. */
async function isPostmaster(pid: number, cluster: string): Promise<boolean> {
  if (!Number.isInteger(pid) || pid <= 0 || !isAlive(pid)) return false
  if (process.platform !== 'linux') {
    const listed = await run('ps', ['-p', String(pid), '-o', 'command='])
    return listed.output.includes(cluster)
  }
  // The link of another user's process is closed to us in most containers, its command line is not.
  const folder = await readlink(`/proc/${pid}/cwd`).catch(() => null)
  const command = await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '')
  return folder === cluster || command.split('\0').includes(cluster)
}

/** Whether the process that the cluster's lock file names is its server, be it ready or not. */
export async function isClaimed(cluster: string): Promise<boolean> {
  const claim = await readClaim(cluster)
  return claim !== null && (await isPostmaster(claim.pid, cluster))
}

/**
 * Fast shutdown (SIGINT): open transactions are rolled back, everything committed is flushed. The caller must hold the
 * broker's lock on it. Resolves when the server has gone.
 */
export async function stopPostmaster(cluster: string, logFault: (text: string) => void): Promise<void> {
  const claim = await readClaim(cluster)
  if (claim === null || !(await isPostmaster(claim.pid, cluster))) return
  signal(claim.pid, 'SIGINT')
  const deadline = Date.now() + STOP_TIMEOUT_MS
  while ((await readClaim(cluster))?.pid === claim.pid && isAlive(claim.pid)) {
    if (Date.now() > deadline) {
      logFault('The database does not stop; it is stopped at once and recovers at the next start.')
      signal(claim.pid, 'SIGQUIT')
      return
    }
    await pause(5)
  }
}

function signal(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM'
  }
}
