// One try to reach the embedded database, and what its failure means.
import { Client, type ClientConfig, DatabaseError } from 'pg'
import { StoreStartError } from '../start-error.ts'

export const DATABASE = 'clearbox'

/** `absent`: nothing listens. `busy`: a server is there and asks to wait (starting, recovering, stopping). */
export type Attached = Client | 'absent' | 'busy'

export function clientConfig(socketFolder: string): ClientConfig {
  return { host: socketFolder, port: 5432, user: 'clearbox', database: DATABASE, ssl: false }
}

/** Connects, making the database in a new cluster. @throws what neither waiting nor starting a server would mend */
export async function attach(socketFolder: string): Promise<Attached> {
  const client = await connect(socketFolder, DATABASE)
  if (client !== 'no database') return client
  const maintenance = await connect(socketFolder, 'postgres')
  if (!(maintenance instanceof Client)) return 'busy'
  try {
    await maintenance.query(`CREATE DATABASE ${DATABASE}`)
  } catch (error) {
    // Made meanwhile, or just being made, by another process.
    if (!['42P04', '23505', '55006'].includes(sqlState(error) ?? '')) throw error
  } finally {
    await maintenance.end()
  }
  const created = await connect(socketFolder, DATABASE)
  return created === 'no database' ? 'busy' : created
}

async function connect(socketFolder: string, database: string): Promise<Attached | 'no database'> {
  const client = new Client({ ...clientConfig(socketFolder), database, connectionTimeoutMillis: 5_000 })
  client.on('error', () => {})
  try {
    await client.connect()
    return client
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code
    if (code === 'ENOENT' || code === 'ECONNREFUSED') return 'absent'
    if (code === '3D000') return 'no database'
    if (code === 'EACCES') {
      throw new StoreStartError(`The database's socket in ${socketFolder} belongs to another user.`, { cause: error })
    }
    // Starting up or stopping, too many connections, or it went away meanwhile.
    if (!(error instanceof DatabaseError) || code?.startsWith('57P') || code?.startsWith('53')) return 'busy'
    throw new StoreStartError(`The database in ${socketFolder} refuses ClearBox: ${error.message}`, { cause: error })
  }
}

function sqlState(error: unknown): string | undefined {
  return error instanceof DatabaseError ? error.code : undefined
}
