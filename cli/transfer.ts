// `export` and `import`: an embedded store moves to a PostgreSQL server of others, and back.
import { createWriteStream } from 'node:fs'
import { open, rm } from 'node:fs/promises'
import type { Readable } from 'node:stream'
import { finished } from 'node:stream/promises'
import { createLogger } from '../broker/log.ts'
import { exportTo, importFrom, type Rows } from '../storage/transfer.ts'
import { audit } from './audit.ts'
import { CliError } from './cli-error.ts'
import type { ReadConfig } from './read-config.ts'
import { withStore } from './with-store.ts'

const standard = '-'

/** The file holds what logins are checked against, and keys: only its owner may read it. */
export async function exportStore(read: ReadConfig, file: string): Promise<void> {
  const deps = { config: read.config, logger: createLogger('warn') }
  await withStore(read, (store) => audit(store.audit, 'store.exported', file))
  const rows = file === standard ? await exportTo(process.stdout, deps) : await exportToFile(file, deps)
  process.stderr.write(`Exported ${summary(rows)}.\n`)
}

async function exportToFile(file: string, deps: Parameters<typeof exportTo>[1]): Promise<Rows> {
  const output = createWriteStream(file, { flags: 'wx', mode: 0o600, flush: true })
  await new Promise<void>((resolve, reject) => {
    output.once('open', () => resolve())
    output.once('error', (error) => reject(new CliError(`${file} cannot be written: ${error.message}`)))
  })
  try {
    const rows = await exportTo(output, deps)
    output.end()
    await finished(output)
    return rows
  } catch (error) {
    output.destroy()
    await rm(file, { force: true })
    throw (error as NodeJS.ErrnoException).syscall === 'write' ? new CliError(String(error)) : error
  }
}

export async function importStore(read: ReadConfig, file: string): Promise<void> {
  const input = file === standard ? process.stdin : await openInput(file)
  const rows = await importFrom(input, { config: read.config, logger: createLogger('warn') })
  await withStore(read, (store) => audit(store.audit, 'store.imported', file))
  process.stderr.write(`Imported ${summary(rows)}.\n`)
}

async function openInput(file: string): Promise<Readable> {
  const handle = await open(file).catch((error: NodeJS.ErrnoException) => {
    throw new CliError(`${file} cannot be read (${error.code}).`)
  })
  return handle.createReadStream()
}

function summary(rows: Rows): string {
  const all = Object.values(rows).reduce((sum, count) => sum + count, 0)
  return `${rows.accounts ?? 0} accounts, ${rows.messages ?? 0} messages, ${all} rows in all`
}
