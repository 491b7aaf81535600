import { once } from 'node:events'
import type { Writable } from 'node:stream'
import type { Client } from 'pg'
import { to as copyTo } from 'pg-copy-streams'
import {
  copyTarget,
  type End,
  FORMAT,
  type Head,
  readMigrations,
  readSequences,
  readTables,
  type Sequence,
  type Table,
  toLine,
  WORDS,
} from './format.ts'

/** Leaves `output` open. */
export async function writeDump(client: Client, output: Writable): Promise<Record<string, number>> {
  const write = createWrite(output)
  const line = (word: string, content: Head | Table | Sequence | End) => write(toLine(word, content))
  const counts: Record<string, number> = {}
  await client.query('BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY')
  const migrations = await readMigrations(client)
  await line(WORDS.head, { format: FORMAT, migrations, at: new Date().toISOString() })
  for (const table of await readTables(client)) {
    await line(WORDS.table, table)
    const rows = client.query(copyTo(`COPY ${copyTarget(client, table)} TO STDOUT`))
    for await (const chunk of rows) await write(chunk as Buffer)
    await write('\\.\n')
    counts[table.name] = rows.rowCount
  }
  // Not part of the snapshot, and so read last: never behind the rows.
  for (const sequence of await readSequences(client)) await line(WORDS.sequence, sequence)
  await client.query('COMMIT')
  await line(WORDS.end, { rows: counts })
  return counts
}

/** No faster than the output takes it. */
function createWrite(output: Writable): (chunk: string | Buffer) => Promise<void> {
  let fault: Error | null = null
  output.once('error', (error) => {
    fault = error
  })
  return async (chunk) => {
    if (fault !== null) throw fault
    if (!output.write(chunk)) await once(output, 'drain')
  }
}
