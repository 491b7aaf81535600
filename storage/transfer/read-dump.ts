import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { type Client, DatabaseError } from 'pg'
import { from as copyFrom } from 'pg-copy-streams'
import { z } from 'zod'
import { StoreStartError } from '../start-error.ts'
import { copyTarget, FORMAT, type Migrations, readMigrations, readTables, type Table, WORDS } from './format.ts'
import { createLines, type Lines } from './lines.ts'

const headSchema = z.object({ format: z.int(), migrations: z.record(z.string(), z.string()) })
const tableSchema = z.object({ name: z.string(), columns: z.array(z.string()) })
const sequenceSchema = z.object({ name: z.string(), last: z.string(), called: z.boolean() })
const endSchema = z.object({ rows: z.record(z.string(), z.int()) })

/** The one table that migrations put rows into. */
const SEEDED = 'subjects'

/** One transaction, under locks that keep everybody else out. @throws StoreStartError when it is not taken */
export async function readDump(client: Client, input: Readable): Promise<Record<string, number>> {
  const lines = createLines(input)
  checkHead(await lines.next(), await readMigrations(client))
  await client.query('BEGIN')
  try {
    const tables = await readTables(client)
    const names = tables.map(({ name }) => client.escapeIdentifier(name))
    await client.query(`LOCK TABLE ${names.join(', ')} IN ACCESS EXCLUSIVE MODE`)
    await checkEmpty(client, tables)
    const counts = await fill(client, lines, tables)
    await client.query('COMMIT')
    return counts
  } catch (error) {
    await client.query('ROLLBACK').catch(() => {})
    if (!(error instanceof DatabaseError)) throw error
    const place = error.where === undefined ? '' : ` (${error.where.split(':')[0]})`
    throw new StoreStartError(`Nothing was imported: ${error.message}${place}`, { cause: error })
  }
}

function checkHead(line: string | null, own: Migrations): void {
  const head = line === null ? undefined : parse(line, WORDS.head, headSchema)
  if (head === undefined) throw new StoreStartError('This is not what `clearbox export` writes.')
  if (head.format !== FORMAT) {
    throw new StoreStartError(`The export has format ${head.format}; this release reads format ${FORMAT}.`)
  }
  const [theirs, ours] = [Object.keys(head.migrations).sort(), Object.keys(own).sort()]
  if (JSON.stringify(theirs) !== JSON.stringify(ours)) {
    throw new StoreStartError(
      `The export was made by another release: its schema ends at ${theirs.at(-1)}, this one's at ${ours.at(-1)}. Import ` +
        'it with the release that made it; the next start of this one brings that database up to date.',
    )
  }
  const changed = ours.find((name) => own[name] !== head.migrations[name])
  if (changed !== undefined) throw new StoreStartError(`The export was made with another ${changed}.`)
}

async function checkEmpty(client: Client, tables: readonly Table[]): Promise<void> {
  for (const { name } of tables) {
    const untouched = name === SEEDED ? 'WHERE last > 0' : ''
    const { rows } = await client.query(`SELECT FROM ${client.escapeIdentifier(name)} ${untouched} LIMIT 1`)
    if (rows.length === 0) continue
    throw new StoreStartError(
      `The store is not empty (table ${name}): an import needs one that no server was started on. Nothing was imported.`,
    )
  }
  await client.query(`DELETE FROM ${SEEDED}`)
}

async function fill(client: Client, lines: Lines, tables: readonly Table[]): Promise<Record<string, number>> {
  const counts: Record<string, number> = {}
  const sequences: z.infer<typeof sequenceSchema>[] = []
  for (let line = await lines.next(); line !== null; line = await lines.next()) {
    const table = parse(line, WORDS.table, tableSchema)
    const sequence = parse(line, WORDS.sequence, sequenceSchema)
    const end = parse(line, WORDS.end, endSchema)
    if (table !== undefined) counts[table.name] = await copy(client, lines, known(table, tables))
    else if (sequence !== undefined) sequences.push(sequence)
    else if (end !== undefined) {
      checkCounts(counts, end.rows, tables)
      // Last, because no ROLLBACK takes it back.
      for (const set of sequences) await setSequence(client, set)
      return counts
    } else throw damaged(`it has a line ${JSON.stringify(line.slice(0, 40))}`)
  }
  throw damaged('its end is missing')
}

function known(table: Table, tables: readonly Table[]): Table {
  if (tables.some((own) => isSame(own, table))) return table
  throw damaged(`it has a table ${table.name} that is not known here`)
}

async function copy(client: Client, lines: Lines, table: Table): Promise<number> {
  const rows = client.query(copyFrom(`COPY ${copyTarget(client, table)} FROM STDIN`))
  await pipeline(Readable.from(lines.untilDot()), rows)
  return rows.rowCount
}

function checkCounts(found: Record<string, number>, told: Record<string, number>, tables: readonly Table[]): void {
  for (const { name } of tables) {
    if (found[name] !== told[name]) throw damaged(`it has ${found[name]} of ${told[name]} rows of ${name}`)
  }
}

async function setSequence(client: Client, { name, last, called }: z.infer<typeof sequenceSchema>): Promise<void> {
  await client.query('SELECT setval($1::regclass, $2, $3)', [client.escapeIdentifier(name), last, called])
}

function isSame(one: Table, other: Table): boolean {
  return one.name === other.name && [...one.columns].sort().join() === [...other.columns].sort().join()
}

function damaged(what: string): StoreStartError {
  return new StoreStartError(`The export is damaged: ${what}. Nothing was imported.`)
}

/** Undefined: not a line of that kind. */
function parse<T>(line: string, word: string, schema: z.ZodType<T>): T | undefined {
  if (!line.startsWith(`${word} {`)) return undefined
  try {
    return schema.parse(JSON.parse(line.slice(word.length + 1)))
  } catch {
    return undefined
  }
}
