// Migrations: plain SQL files, in order of their names, each once.
import { createHash } from 'node:crypto'
import { readdir, readFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { Client, type ClientConfig } from 'pg'
import { StoreStartError } from './start-error.ts'

const FOLDER = fileURLToPath(new URL('./migrations/', import.meta.url))
const LOCK = '7205759, 3'

/**
 * Brings the database up to this release. One transaction per file; several processes at once wait for each other.
 * @throws StoreStartError when a file was edited after it was applied, or the database is of a newer release
 */
export async function migrate(config: ClientConfig, folder = FOLDER): Promise<void> {
  const client = new Client(config)
  client.on('error', () => {})
  await client.connect()
  try {
    await client.query(`SELECT pg_advisory_lock(${LOCK})`)
    await client.query(
      `CREATE TABLE IF NOT EXISTS migrations (name text PRIMARY KEY, sha256 text NOT NULL, at timestamptz NOT NULL DEFAULT now())`,
    )
    const { rows } = await client.query<{ name: string; sha256: string }>('SELECT name, sha256 FROM migrations')
    const applied = new Map(rows.map((row) => [row.name, row.sha256]))
    for (const name of (await readdir(folder)).filter((file) => file.endsWith('.sql')).sort()) {
      const text = await readFile(`${folder}/${name}`, 'utf8')
      const sha256 = createHash('sha256').update(text).digest('hex')
      const known = applied.get(name)
      applied.delete(name)
      if (known === undefined) await apply(client, name, text, sha256)
      else if (known !== sha256) throw new StoreStartError(`Migration ${name} was changed after it had been applied.`)
    }
    const [newer] = applied.keys()
    if (newer !== undefined) throw new StoreStartError(`The database was made by a newer release (migration ${newer}).`)
  } finally {
    await client.end()
  }
}

async function apply(client: Client, name: string, text: string, sha256: string): Promise<void> {
  await client.query('BEGIN')
  await client.query(text)
  await client.query('INSERT INTO migrations (name, sha256) VALUES ($1, $2)', [name, sha256])
  await client.query('COMMIT')
}
