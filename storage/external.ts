// A PostgreSQL server that others run: whether it is fit, and who may use this database of it.
import { setTimeout as pause } from 'node:timers/promises'
import { Client, type ClientConfig } from 'pg'
import type { Logger } from '../broker/log.ts'
import { TransientStoreError } from '../broker/stores.ts'
import { readDatabaseUrl } from './database-url.ts'
import { lockBroker } from './embedded/locks.ts'
import type { Purpose } from './embedded.ts'
import type { Endpoint } from './endpoint.ts'
import { refusalOf } from './external/refusal.ts'
import { StoreStartError } from './start-error.ts'

export type ExternalOptions = Readonly<{ url: string; logger: Logger; purpose: Purpose }>

const OLDEST_VERSION = 140_000
const CONNECT_TIMEOUT_MS = 10_000
const MAX_BACKOFF_MS = 1_000
/** So that the server notices within half a minute when the machine of the lock's holder is gone. */
const NOTICE_THE_DEAD = '-c tcp_keepalives_idle=10 -c tcp_keepalives_interval=5 -c tcp_keepalives_count=3'

/** @throws StoreStartError when it cannot be reached, is not fit, or another broker uses the database */
export async function useExternal({ url, logger, purpose }: ExternalOptions): Promise<Endpoint> {
  const config = { ...readDatabaseUrl(url), connectionTimeoutMillis: CONNECT_TIMEOUT_MS }
  const client = await connectTo(config).catch((error: unknown) => {
    throw refusalOf(error, config)
  })
  try {
    await checkFitness(client)
    if (purpose === 'broker' && !(await lockBroker(client))) throw takenFault(config)
  } catch (error) {
    await client.end().catch(() => {})
    throw error instanceof StoreStartError ? error : refusalOf(error, config)
  }
  if (purpose === 'broker') return keepLocked(client, config, logger)
  await client.end().catch(() => {})
  return { config, check() {}, async close() {} }
}

async function connectTo(config: ClientConfig): Promise<Client> {
  const options = [config.options, NOTICE_THE_DEAD].join(' ').trim()
  const client = new Client({ ...config, application_name: 'clearbox lock', options, keepAlive: true })
  client.on('error', () => {})
  await client.connect()
  return client
}

function takenFault({ database }: ClientConfig): StoreStartError {
  return new StoreStartError(`Another ClearBox runs on the database ${database}.`)
}

async function checkFitness(client: Client): Promise<void> {
  const { rows } = await client.query<{ version: number; name: string; encoding: string; readOnly: string }>(
    `SELECT current_setting('server_version_num')::integer AS version, current_setting('server_version') AS name,
       current_setting('server_encoding') AS encoding, current_setting('transaction_read_only') AS "readOnly"`,
  )
  const [server] = rows
  if (server === undefined) throw new StoreStartError('The database does not say what it is.')
  if (server.version < OLDEST_VERSION) {
    throw new StoreStartError(`The database is PostgreSQL ${server.name}; ClearBox needs PostgreSQL 14 or newer.`)
  }
  if (server.encoding !== 'UTF8') {
    throw new StoreStartError(
      `The database is encoded in ${server.encoding}, not encoded in UTF8. Make one with: CREATE DATABASE clearbox ` +
        "ENCODING 'UTF8' TEMPLATE template0",
    )
  }
  if (server.readOnly === 'on') {
    throw new StoreStartError('The database takes no writes: it is a standby, or set to be read only.')
  }
}

/** One broker per database: positions in queues are numbered by the node. While the lock is lost nothing is sent. */
function keepLocked(first: Client, config: ClientConfig, logger: Logger): Endpoint {
  let held: Client | null = null
  let lost: StoreStartError | null = null
  let closing = false

  function hold(client: Client): void {
    held = client
    client.once('end', () => {
      held = null
      if (closing) return
      logger.error('the connection to the database broke')
      void restore()
    })
  }

  async function restore(): Promise<void> {
    for (let backoffMs = 50; !closing && lost === null; backoffMs = Math.min(2 * backoffMs, MAX_BACKOFF_MS)) {
      const client = await connectTo(config).catch((error: unknown) => {
        logger.warn({ err: error }, 'the database does not come back')
        return null
      })
      const locked = client === null ? null : await lockBroker(client).catch(() => null)
      if (client !== null && locked === true && !closing) {
        hold(client)
        logger.info('the database is back')
        return
      }
      await client?.end().catch(() => {})
      if (locked === false) {
        lost = takenFault(config)
        logger.fatal(lost.message)
      }
      await pause(backoffMs, undefined, { ref: false })
    }
  }

  hold(first)
  return {
    config,
    check() {
      if (lost !== null) throw lost
      if (held === null) throw new TransientStoreError('The database is away.')
    },
    async close() {
      closing = true
      await held?.end().catch(() => {})
    },
  }
}
