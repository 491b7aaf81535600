// A PostgreSQL server that others run.
import { Client, type ClientConfig } from 'pg'
import type { Endpoint } from './endpoint.ts'
import { StoreStartError } from './start-error.ts'

const OLDEST_VERSION = 140_000

/** @throws StoreStartError when it cannot be reached or is not fit */
export async function useExternal(url: string): Promise<Endpoint> {
  const config: ClientConfig = { connectionString: url, connectionTimeoutMillis: 10_000 }
  const client = clientOf(config)
  try {
    await client.connect()
    const { rows } = await client.query<{ version: string; encoding: string }>(
      "SELECT current_setting('server_version_num') AS version, current_setting('server_encoding') AS encoding",
    )
    const [server] = rows
    if (Number(server?.version) < OLDEST_VERSION) throw new StoreStartError('The database is older than PostgreSQL 14.')
    if (server?.encoding !== 'UTF8') throw new StoreStartError('The database is not encoded in UTF8.')
  } catch (error) {
    throw error instanceof StoreStartError ? error : unusable(error)
  } finally {
    await client.end().catch(() => {})
  }
  return { config, check() {}, async close() {} }
}

function clientOf(config: ClientConfig): Client {
  try {
    const client = new Client(config)
    client.on('error', () => {})
    return client
  } catch (error) {
    throw unusable(error)
  }
}

function unusable(error: unknown): StoreStartError {
  // A name with several addresses fails with one error for each, and no message of its own.
  const [first] = error instanceof AggregateError ? error.errors : [error]
  const reason = first instanceof Error ? first.message : String(first)
  return new StoreStartError(`The database at CLEARBOX_DATABASE_URL cannot be used: ${reason}`, { cause: error })
}
