// The embedded store: PostgreSQL itself as a child process, on a Unix socket that nobody else can reach.
import { setTimeout as pause } from 'node:timers/promises'
import type { Client } from 'pg'
import type { Logger } from '../broker/log.ts'
import { TransientStoreError } from '../broker/stores.ts'
import { clientConfig } from './embedded/attach.ts'
import { type Folders, openFolders } from './embedded/folders.ts'
import { lockBroker, lockLast, lockTool } from './embedded/locks.ts'
import { stopPostmaster } from './embedded/postmaster.ts'
import { type Reached, reach } from './embedded/start.ts'
import type { Endpoint } from './endpoint.ts'
import { StoreStartError } from './start-error.ts'

/** A broker has the data folder to itself and keeps its database running; tools use it for a moment, beside one or not. */
export type Purpose = 'broker' | 'tool'

export type EmbeddedOptions = Readonly<{ dataDir: string; binDir: string | null; logger: Logger; purpose: Purpose }>

const MAX_BACKOFF_MS = 5_000

const CLOSE_PATIENCE_MS = 5_000

/** @throws StoreStartError */
export async function startEmbedded(options: EmbeddedOptions): Promise<Endpoint> {
  const folders = await openFolders(options.dataDir)
  const reached = await occupy(folders, options)
  if (reached === 'taken') throw takenFault(folders)
  if (options.purpose === 'broker') return supervise(folders, reached, options)
  return {
    config: clientConfig(reached.socketFolder),
    check() {},
    close: () => leave(folders, reached.client, options.logger),
  }
}

function takenFault(folders: Folders): StoreStartError {
  return new StoreStartError(`Another ClearBox runs on the data folder ${folders.data}.`)
}

/** Reaches the database and takes the lock that the purpose needs. Begins again when it was just being stopped. */
async function occupy(folders: Folders, { binDir, purpose }: EmbeddedOptions): Promise<Reached | 'taken'> {
  for (;;) {
    const reached = await reach(folders, binDir)
    const locked = await (purpose === 'broker' ? lockBroker : lockTool)(reached.client).catch(() => null)
    if (locked === true) return reached
    await reached.client.end().catch(() => {})
    if (locked === false && purpose === 'broker') return 'taken'
    await pause(50)
  }
}

/** A tool's end: whoever leaves last, and no broker is there, stops the database. */
async function leave(folders: Folders, client: Client, logger: Logger): Promise<void> {
  try {
    if (await lockLast(client)) await stopPostmaster(folders.cluster, (text) => logger.error(text))
  } catch (error) {
    logger.debug({ err: error }, 'the database went away before its tool did')
  }
  await client.end().catch(() => {})
}

/** Keeps the database running and the broker's lock held: the end of the lock's connection tells that it died. */
function supervise(folders: Folders, first: Reached, options: EmbeddedOptions): Endpoint {
  const { logger } = options
  let held: Client | null = null
  let lost: Error | null = null
  let closing = false
  let restoring: Promise<void> = Promise.resolve()

  function hold(client: Client): void {
    held = client
    client.once('end', () => {
      held = null
      if (closing) return
      logger.error('the database went away')
      restoring = restore()
    })
  }

  async function restore(): Promise<void> {
    for (let backoffMs = 50; !closing && lost === null; backoffMs = Math.min(2 * backoffMs, MAX_BACKOFF_MS)) {
      try {
        const reached = await occupy(folders, options)
        if (reached === 'taken') {
          lost = takenFault(folders)
          logger.fatal(lost.message)
          return
        }
        if (reached.socketFolder === first.socketFolder) {
          hold(reached.client)
          logger.info('the database is back')
          return
        }
        // Started meanwhile by a tool with another runtime directory.
        await stopPostmaster(folders.cluster, (text) => logger.error(text))
        await reached.client.end().catch(() => {})
      } catch (error) {
        logger.error({ err: error }, 'the database does not come back')
      }
      await pause(backoffMs)
    }
  }

  hold(first.client)
  return {
    config: clientConfig(first.socketFolder),
    check() {
      if (lost !== null) throw lost
      if (held === null) throw new TransientStoreError('The database is being started again.')
    },
    async close() {
      closing = true
      await Promise.race([restoring, pause(CLOSE_PATIENCE_MS, undefined, { ref: false })])
      const client = held
      if (client === null) return
      await stopPostmaster(folders.cluster, (text) => logger.error(text))
      await client.end().catch(() => {})
    },
  }
}
