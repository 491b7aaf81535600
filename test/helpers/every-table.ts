// A store in which every table has rows, and all that it has, to be compared.
import type { Store } from '../../broker/stores.ts'
import { someAccount, someMessage } from './store.ts'

export type Sql = <Row extends object>(text: string, values?: readonly unknown[]) => Promise<Row[]>

type Column = Readonly<{ table: string; column: string; type: string }>

/** What COPY must escape, and what it may not confuse with its own words. */
const TRICKY = 'tab\tline\nreturn\r\\.\\N "quotes" ünï 😀'

/** Where any text would break a rule of the table. */
const FITTING: Readonly<Record<string, unknown>> = { subscription: 'both', role: 'user', plain_topics: 'all' }

const BY_TYPE: Readonly<Record<string, unknown>> = {
  text: TRICKY,
  boolean: true,
  smallint: 1,
  integer: 7,
  uuid: '01890000-0000-7000-8000-000000000001',
  bytea: Buffer.from([0, 10, 92, 46, 10, 255]),
  jsonb: { text: TRICKY },
  'timestamp with time zone': '2026-11-24T01:02:03.456789Z',
  'integer[]': [1, 2, 3],
  'text[]': [TRICKY, '', 'NULL'],
}

/** Through the store where that is easy; one made-up row in each table that is still empty. */
export async function fillEveryTable(store: Store, sql: Sql): Promise<void> {
  const [alice, bob] = [await someAccount(store), await someAccount(store)]
  const text = JSON.stringify({ text: TRICKY })
  const messages = Array.from({ length: 500 }, () =>
    someMessage(alice.id, bob.id, { body: { format: 'json', text }, text: TRICKY }),
  )
  await store.archive.append(messages)
  await store.secrets.getOrCreate('jwt', 32)
  const payload = Buffer.alloc(100_000, '\\.\n')
  const will = { topic: TRICKY, payload, qos: 1, retain: true, delay: 5, properties: Buffer.from([9]) } as const
  const opening = { account: alice.id, clientId: TRICKY, expiryInterval: 60, clean: false, will }
  const session = await store.sessions.open(opening)
  const references = [{ session: session.id, qos: 1 as const, retain: false, subscriptionIds: [1, 2], share: '' }]
  const body = { position: 5, topic: TRICKY, payload, properties: Buffer.alloc(0), expiresAt: 1 }
  await store.queues.append([{ ...body, references }], [])
  for (const [table, columns] of await columnsByTable(sql)) {
    if ((await sql(`SELECT FROM ${table} LIMIT 1`)).length === 0) await fill(sql, table, columns, alice.id)
  }
}

async function fill(sql: Sql, table: string, columns: readonly Column[], account: number): Promise<void> {
  const values = columns.map(({ column, type }) => FITTING[column] ?? (type === 'bigint' ? account : BY_TYPE[type]))
  const marks = values.map((_, i) => `$${i + 1}`)
  const names = columns.map(({ column }) => `"${column}"`)
  await sql(`INSERT INTO ${table} (${names.join(', ')}) VALUES (${marks.join(', ')})`, values)
}

async function columnsByTable(sql: Sql): Promise<ReadonlyMap<string, readonly Column[]>> {
  const columns = await sql<Column>(`
    SELECT c.relname AS table, a.attname AS column, format_type(a.atttypid, NULL) AS type
    FROM pg_class AS c JOIN pg_attribute AS a ON a.attrelid = c.oid
    WHERE c.relnamespace = current_schema()::regnamespace AND c.relkind = 'r' AND c.relname <> 'migrations'
      AND a.attnum > 0 AND NOT a.attisdropped AND a.attidentity = '' AND a.attgenerated = ''
    ORDER BY c.relname = 'roster_items', c.relname, a.attnum`)
  const tables = new Map<string, Column[]>()
  for (const column of columns) tables.set(column.table, [...(tables.get(column.table) ?? []), column])
  return tables
}

/** Every row of every table as text, and where each sequence stands. */
export async function readEverything(sql: Sql): Promise<Readonly<Record<string, readonly unknown[]>>> {
  const found: Record<string, readonly unknown[]> = {}
  for (const table of (await columnsByTable(sql)).keys()) {
    const rows = await sql<{ row: string }>(`SELECT to_jsonb(t)::text AS row FROM ${table} AS t ORDER BY 1`)
    found[table] = rows.map(({ row }) => row)
  }
  const sequences = await sql<{ name: string }>(
    `SELECT relname AS name FROM pg_class WHERE relkind = 'S' AND relnamespace = current_schema()::regnamespace ORDER BY 1`,
  )
  for (const { name } of sequences) found[name] = await sql(`SELECT last_value, is_called FROM ${name}`)
  return found
}
