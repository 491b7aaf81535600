// The file: lines of text. First what it is, then each table as COPY writes it, then the sequences, then the end.
//   clearbox-export {"format":1,"migrations":{"0001-first.sql":"…"},"at":"…"}
//   table {"name":"accounts","columns":["id","name"]}
//   1	alice
//   \.
//   sequence {"name":"owner_ids","last":"7","called":true}
//   end {"rows":{"accounts":1}}
import type { ClientBase } from 'pg'

export const FORMAT = 1
export const WORDS = { head: 'clearbox-export', table: 'table', sequence: 'sequence', end: 'end' } as const

/** File names of the migrations and the SHA-256 of each: the version of the schema. */
export type Migrations = Readonly<Record<string, string>>
export type Head = Readonly<{ format: number; migrations: Migrations; at: string }>
export type Table = Readonly<{ name: string; columns: readonly string[] }>
export type Sequence = Readonly<{ name: string; last: string; called: boolean }>
export type End = Readonly<{ rows: Readonly<Record<string, number>> }>

export function toLine(word: string, content: Head | Table | Sequence | End): string {
  return `${word} ${JSON.stringify(content)}\n`
}

export async function readMigrations(client: ClientBase): Promise<Migrations> {
  const { rows } = await client.query<{ name: string; sha256: string }>(
    'SELECT name, sha256 FROM migrations ORDER BY name',
  )
  return Object.fromEntries(rows.map(({ name, sha256 }) => [name, sha256]))
}

/** All but `migrations`, each behind those that it refers to. */
export async function readTables(client: ClientBase): Promise<readonly Table[]> {
  const { rows } = await client.query<Table & { refers: string[] }>(`
    SELECT c.relname AS name,
      (SELECT array_agg(a.attname::text ORDER BY a.attnum) FROM pg_attribute AS a
       WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = '') AS columns,
      ARRAY(SELECT r.relname::text FROM pg_constraint AS k JOIN pg_class AS r ON r.oid = k.confrelid
            WHERE k.conrelid = c.oid AND k.contype = 'f') AS refers
    FROM pg_class AS c
    WHERE c.relnamespace = current_schema()::regnamespace AND c.relkind = 'r' AND c.relname <> 'migrations'
    ORDER BY c.relname`)
  const ordered = new Map<string, Table>()
  const place = (name: string, path: readonly string[]): void => {
    const row = rows.find((table) => table.name === name)
    if (row === undefined || ordered.has(name) || path.includes(name)) return
    for (const other of row.refers) place(other, [...path, name])
    ordered.set(name, { name, columns: row.columns })
  }
  for (const { name } of rows) place(name, [])
  return [...ordered.values()]
}

export async function readSequences(client: ClientBase): Promise<readonly Sequence[]> {
  const { rows } = await client.query<{ name: string }>(`
    SELECT relname AS name FROM pg_class WHERE relnamespace = current_schema()::regnamespace AND relkind = 'S'
    ORDER BY relname`)
  const sequences: Sequence[] = []
  for (const { name } of rows) {
    const found = await client.query<Sequence>(
      `SELECT last_value::text AS last, is_called AS called FROM ${client.escapeIdentifier(name)}`,
    )
    const [state] = found.rows
    if (state !== undefined) sequences.push({ ...state, name })
  }
  return sequences
}

/** `accounts (id, name)`, quoted. */
export function copyTarget(client: ClientBase, { name, columns }: Table): string {
  return `${client.escapeIdentifier(name)} (${columns.map((column) => client.escapeIdentifier(column)).join(', ')})`
}
