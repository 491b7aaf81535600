// As whom the embedded PostgreSQL runs: it refuses root.
import { type SpawnOptions, spawn } from 'node:child_process'
import { chown, readFile, stat } from 'node:fs/promises'
import { StoreStartError } from '../start-error.ts'
import type { Binaries } from './binaries.ts'
import { type Outcome, run } from './run.ts'

/** `uid` is the one that files of the database belong to, seen from here. */
export type RunAs = Readonly<{
  uid: number
  ids: Readonly<{ uid: number; gid: number }> | null
  prefix: readonly string[]
}>

const WAYS_OUT =
  'PostgreSQL refuses to run as root. Start ClearBox as another user, or put the data folder and node_modules where ' +
  'the user `nobody` can reach them, or set CLEARBOX_DATABASE_URL to a PostgreSQL server.'

export function runThrough(as: RunAs, command: string, args: readonly string[]): Promise<Outcome> {
  const [first = command, ...rest] = [...as.prefix, command]
  return run(first, [...rest, ...args], as.ids ?? {})
}

export function spawnThrough(as: RunAs, command: string, args: readonly string[], options: SpawnOptions) {
  const [first = command, ...rest] = [...as.prefix, command]
  return spawn(first, [...rest, ...args], { ...options, ...as.ids })
}

/** For a data folder that exists: its owner decides. @throws StoreStartError */
export async function runAsOwner(folder: string, binaries: Binaries): Promise<RunAs> {
  const { uid } = await stat(folder)
  const self = ownUid()
  if (self !== 0) {
    if (uid !== self) throw new StoreStartError(`The database in ${folder} belongs to another user (uid ${uid}).`)
    return asSelf(self)
  }
  const as = uid === 0 ? unshared() : await asUser((user) => user.uid === uid)
  if (as !== null && (await reaches(as, folder, binaries))) return as
  throw new StoreStartError(
    uid === 0
      ? `The database in ${folder} belongs to root and needs \`unshare --user\`, which is not allowed here. ${WAYS_OUT}`
      : `The owner of the database in ${folder} (uid ${uid}) cannot reach it, or ${binaries.postgres}. Make both reachable for that user, or set CLEARBOX_DATABASE_URL.`,
  )
}

/** For a new, empty folder; it is given to the user that is chosen. @throws StoreStartError */
export async function runAsForNew(folder: string, binaries: Binaries): Promise<RunAs> {
  const self = ownUid()
  if (self !== 0) return asSelf(self)
  const nobody = await asUser((user) => user.name === 'nobody')
  if (nobody?.ids) {
    await chown(folder, nobody.ids.uid, nobody.ids.gid)
    if (await reaches(nobody, folder, binaries)) return nobody
    await chown(folder, 0, 0)
  }
  const as = unshared()
  if (await reaches(as, folder, binaries)) return as
  throw new StoreStartError(WAYS_OUT)
}

function ownUid(): number {
  const uid = process.getuid?.()
  if (uid !== undefined) return uid
  throw new StoreStartError('The embedded database does not run on this system: set CLEARBOX_DATABASE_URL.')
}

function asSelf(uid: number): RunAs {
  return { uid, ids: null, prefix: [] }
}

/** In a user namespace of its own, root is nobody to PostgreSQL and still the owner of its files. */
function unshared(): RunAs {
  return { uid: 0, ids: null, prefix: ['unshare', '--user', '--'] }
}

type User = Readonly<{ name: string; uid: number; gid: number }>

async function asUser(wanted: (user: User) => boolean): Promise<RunAs | null> {
  const lines = (await readFile('/etc/passwd', 'utf8').catch(() => '')).split('\n')
  for (const line of lines) {
    const [name = '', , uid, gid] = line.split(':')
    const user = { name, uid: Number(uid), gid: Number(gid) }
    if (Number.isInteger(user.gid) && user.uid !== 0 && wanted(user)) {
      return { uid: user.uid, ids: { uid: user.uid, gid: user.gid }, prefix: [] }
    }
  }
  return null
}

/** Tried, not guessed: a child of that user enters the folder, may write there, has a name and runs the binaries. */
async function reaches(as: RunAs, folder: string, binaries: Binaries): Promise<boolean> {
  const script = 'cd "$1" && test -w . && id -un >/dev/null && "$2" -V && "$3" -V'
  const args = ['-c', script, 'sh', folder, binaries.postgres, binaries.initdb]
  const outcome = await runThrough(as, 'sh', args).catch(() => null)
  return outcome?.status === 0
}
