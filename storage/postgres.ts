// Connections to PostgreSQL: a pool for ordinary statements, and pipelined connections for those that come in streams.
import { Client, type ClientConfig, DatabaseError, Pool, types } from 'pg'
import type { Logger } from '../broker/log.ts'
import { TransientStoreError } from '../broker/stores.ts'
import type { Endpoint } from './endpoint.ts'

/** Prepared once per connection under its name. */
export type Statement = Readonly<{ name: string; text: string }>

export interface Connection {
  /** `Row` is what the statement's text promises. @throws TransientStoreError when the same call may be repeated */
  query<Row extends object>(statement: Statement, values: readonly unknown[]): Promise<Row[]>
}

export interface Database extends Connection {
  /** A connection of its own, whose statements are sent without waiting for each other and carried out in order. */
  pipelined(work?: 'joins batches'): Connection
  /** @throws TransientStoreError */
  transaction<Result>(work: (connection: Connection) => Promise<Result>): Promise<Result>
  close(): Promise<void>
}

const POOL_SIZE = 6
const CONNECT_TIMEOUT_MS = 5_000
/** The server gives up first, so that a statement's connection is kept; a server that is silent loses it. */
const STATEMENT_TIMEOUT_MS = 20_000
const SILENCE_TIMEOUT_MS = 25_000

/**
 * A statement is planned once, perhaps while its tables are empty: it must not settle on reading whole tables. So every
 * row is found by an index, unless a connection's statements join batches with themselves.
 */
const BY_INDEX = '-c jit=off -c enable_seqscan=off -c enable_mergejoin=off -c enable_hashjoin=off'
const BATCHES = '-c jit=off -c enable_seqscan=off -c enable_mergejoin=off'

export function openDatabase(endpoint: Endpoint, logger: Logger): Database {
  const config = connectionConfig(endpoint.config)
  const pool = new Pool({ ...config, max: POOL_SIZE, idleTimeoutMillis: 60_000 })
  pool.on('error', (error) => logger.debug({ err: error }, 'an idle connection to the database ended'))
  const pipelines: Pipeline[] = []
  let closed = false

  function check(): void {
    if (closed) throw new Error('The store is closed.')
    endpoint.check()
  }

  return {
    query: (statement, values) => guarded(check, () => pool.query({ ...statement, values: [...values] })),
    pipelined(work) {
      const options = work === 'joins batches' ? BATCHES : BY_INDEX
      const pipeline = createPipeline(check, { ...config, options: joined(endpoint.config.options, options) })
      pipelines.push(pipeline)
      return pipeline
    },
    transaction: (work) => transaction(check, pool, work),
    async close() {
      closed = true
      await Promise.all([pool.end(), ...pipelines.map((pipeline) => pipeline.close())])
    },
  }
}

export function connectionConfig(config: ClientConfig): ClientConfig {
  return {
    ...config,
    application_name: 'clearbox',
    options: joined(config.options, BY_INDEX),
    types: { getTypeParser },
    connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
    statement_timeout: STATEMENT_TIMEOUT_MS,
    query_timeout: SILENCE_TIMEOUT_MS,
    keepAlive: true,
  }
}

/** Ours come last, and so win over those of the URL. */
function joined(given: string | undefined, own: string): string {
  return given === undefined ? own : `${given} ${own}`
}

/** bigint as Number: ids, positions and milliseconds stay far below 2^53. */
const getTypeParser: typeof types.getTypeParser = (oid: number, format?: 'text' | 'binary') =>
  oid === types.builtins.INT8 ? Number : types.getTypeParser(oid, format as 'text')

/** Throws while no statement may be sent. */
type Check = () => void

async function guarded<Row extends object>(check: Check, ask: () => Promise<{ rows: Row[] }>): Promise<Row[]> {
  check()
  try {
    return (await ask()).rows
  } catch (error) {
    throw toStoreError(error)
  }
}

async function transaction<Result>(
  check: Check,
  pool: Pool,
  work: (connection: Connection) => Promise<Result>,
): Promise<Result> {
  check()
  const client = await pool.connect().catch((error: unknown) => {
    throw toStoreError(error)
  })
  // The pool listens only to idle clients; the query in flight tells of the fault.
  client.on('error', ignore)
  let broken = true
  try {
    await client.query('BEGIN')
    const result = await work({
      query: (statement, values) => guarded(check, () => client.query({ ...statement, values: [...values] })),
    })
    await client.query('COMMIT')
    broken = false
    return result
  } catch (error) {
    broken = await client.query('ROLLBACK').then(
      () => false,
      () => true,
    )
    throw toStoreError(error)
  } finally {
    client.off('error', ignore)
    client.release(broken)
  }
}

function ignore(): void {}

interface Pipeline extends Connection {
  close(): Promise<void>
}

/** Reconnects at the next statement after its connection has ended. */
function createPipeline(check: Check, config: ClientConfig): Pipeline {
  let connecting: Promise<Client> | null = null

  function connect(): Promise<Client> {
    const client = new Client({ ...config, pipeline: true })
    const attempt = client.connect()
    const forget = () => {
      if (connecting === attempt) connecting = null
    }
    client.on('error', forget)
    client.on('end', forget)
    attempt.catch(forget)
    return attempt
  }

  return {
    query: (statement, values) =>
      guarded(check, async () => {
        connecting ??= connect()
        const client = await connecting
        return client.query({ ...statement, values: [...values] })
      }),
    async close() {
      const client = await connecting?.catch(() => null)
      connecting = null
      await client?.end()
    },
  }
}

/**
 * Connections that break, servers that stop, start, are full or give up, transactions that meet: all of them pass.
 * What the database says about the data itself does not.
 */
export function toStoreError(error: unknown): Error {
  if (error instanceof TransientStoreError) return error
  if (error instanceof DatabaseError && !isPassing(error.code ?? '')) return error
  if (error instanceof TypeError || error instanceof RangeError) return error
  const text = error instanceof Error ? error.message : String(error)
  return new TransientStoreError(text, { cause: error })
}

/** Classes: connection, login, resources, operator, system error, rollback; and single codes of the same nature. */
function isPassing(sqlState: string): boolean {
  return /^(08|28|53|57|58|40)/.test(sqlState) || ['25006', '3D000', '55P03'].includes(sqlState)
}

/** For faults that a statement expects, such as a unique key that is taken. */
export function sqlState(error: unknown): string | null {
  return error instanceof DatabaseError ? (error.code ?? null) : null
}
