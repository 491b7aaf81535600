// Where the embedded database keeps things: its cluster, its log, its socket.
import { createHash } from 'node:crypto'
import { chmod, chown, lstat, mkdir, open, realpath, rename, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { StoreStartError } from '../start-error.ts'
import type { RunAs } from './run-as.ts'

export type Folders = Readonly<{ data: string; cluster: string; log: string }>

const SOCKET_NAME = '.s.PGSQL.5432'
/** Node cuts longer socket paths off without a word, PostgreSQL refuses them. */
const MAX_SOCKET_PATH_BYTES = 103
const MAX_LOG_BYTES = 1 << 20

/** Makes the data folder when there is none: root's may be passed through, so that `nobody` can reach its part of it. */
export async function openFolders(dataDir: string): Promise<Folders> {
  const made = await makeFolder(dataDir).catch((error: Error) => {
    throw new StoreStartError(`The data folder ${dataDir} cannot be made: ${error.message}`, { cause: error })
  })
  const data = await realpath(dataDir)
  if (made) await chmod(data, process.getuid?.() === 0 ? 0o711 : 0o700)
  return { data, cluster: join(data, 'postgres'), log: join(data, 'postgres.log') }
}

/** With its parents. Answers whether it was missing. Node's recursive mkdir never ends in places such as /proc. */
async function makeFolder(path: string): Promise<boolean> {
  if (await isFolder(path)) return false
  if (dirname(path) !== path) await makeFolder(dirname(path))
  try {
    await mkdir(path)
    return true
  } catch (error) {
    // Another process may have been quicker.
    if (await isFolder(path)) return false
    throw error
  }
}

/** The log, for appending; an older one that has grown long is put aside. */
export async function openLog(path: string) {
  const size = await stat(path).then(
    (found) => found.size,
    () => 0,
  )
  if (size > MAX_LOG_BYTES) await rename(path, `${path}.1`)
  return open(path, 'a', 0o600)
}

/**
 * A folder that only the database's user (and root) can enter: the cluster itself, or, where that path is too long for a
 * socket, one under the runtime or temporary directory with a name made from the cluster's path. @throws StoreStartError
 * when somebody else has put a folder of that name there
 */
export async function socketFolder(cluster: string, as: RunAs): Promise<string> {
  if (fits(cluster)) return cluster
  const name = `clearbox-${createHash('sha256').update(cluster).digest('hex').slice(0, 16)}`
  const bases = [as.uid === process.getuid?.() ? process.env.XDG_RUNTIME_DIR : undefined, tmpdir(), '/tmp']
  for (const base of bases) {
    if (base === undefined || base === '' || !fits(join(base, name))) continue
    if (!(await isFolder(base))) continue
    return claim(join(base, name), as)
  }
  throw new StoreStartError(
    `There is no folder for the database's socket: the paths of ${cluster} and ${tmpdir()} are too long.`,
  )
}

async function claim(folder: string, as: RunAs): Promise<string> {
  try {
    await mkdir(folder, { mode: 0o700 })
    if (as.ids !== null) await chown(folder, as.ids.uid, as.ids.gid)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
  }
  const found = await lstat(folder)
  if (found.isDirectory() && found.uid === as.uid && (found.mode & 0o077) === 0) return folder
  throw new StoreStartError(
    `${folder} is needed for the database's socket, but it is not a private folder of uid ${as.uid}. Remove it, or use ` +
      `a data folder with a shorter path than ${dirname(folder)}.`,
  )
}

function fits(folder: string): boolean {
  return Buffer.byteLength(join(folder, SOCKET_NAME)) <= MAX_SOCKET_PATH_BYTES
}

function isFolder(path: string): Promise<boolean> {
  return stat(path).then(
    (found) => found.isDirectory(),
    () => false,
  )
}
