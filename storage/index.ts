// The store: one dialect, whether the database is ours or another's.
import { setTimeout as pause } from 'node:timers/promises'
import type { Config } from '../broker/config.ts'
import type { Logger } from '../broker/log.ts'
import { type Store, TransientStoreError } from '../broker/stores.ts'
import { type Purpose, startEmbedded } from './embedded.ts'
import type { Endpoint } from './endpoint.ts'
import { refusalOf } from './external/refusal.ts'
import { useExternal } from './external.ts'
import { migrate } from './migrate.ts'
import { type Database, openDatabase, type Statement, sqlState } from './postgres.ts'
import { createAccountRemoval } from './sql/account-removal.ts'
import { createAccountStore } from './sql/accounts.ts'
import { createArchiveStore } from './sql/archive.ts'
import { createArchiveQueryStore } from './sql/archive-query.ts'
import { createAuditStore } from './sql/audit.ts'
import { createChangeStore } from './sql/changes.ts'
import { createPrune } from './sql/prune.ts'
import { createQueueRemoval } from './sql/queue-removal.ts'
import { createQueueStore } from './sql/queues.ts'
import { createRefreshTokenStore } from './sql/refresh-tokens.ts'
import { createRosterStore } from './sql/roster.ts'
import { createSecretStore } from './sql/secrets.ts'
import { createSessionStore } from './sql/sessions.ts'
import { createWatermarkStore } from './sql/watermarks.ts'
import { StoreStartError } from './start-error.ts'

export { StoreStartError }

export type StoreOptions = Readonly<{
  config: Pick<Config, 'dataDir' | 'database'>
  logger: Logger
  purpose: Purpose
}>

const PING: Statement = { name: 'ping', text: 'SELECT 1 AS alive' }
const PING_TIMEOUT_MS = 5_000

/** Starts the embedded database, or connects to the configured one, and brings it up to date. @throws StoreStartError */
export async function openStore(options: StoreOptions): Promise<Store> {
  const endpoint = await openEndpoint(options)
  return createStore(endpoint, openDatabase(endpoint, options.logger))
}

/** For who needs connections of another kind. @throws StoreStartError */
export async function openEndpoint({ config, logger, purpose }: StoreOptions): Promise<Endpoint> {
  const { url, binDir } = config.database
  const endpoint =
    url === null
      ? await startEmbedded({ dataDir: config.dataDir, binDir, logger, purpose })
      : await useExternal({ url, logger, purpose })
  try {
    await migrate(endpoint.config)
    return endpoint
  } catch (error) {
    await endpoint.close()
    throw error instanceof StoreStartError ? error : migrationFault(error, endpoint)
  }
}

function migrationFault(error: unknown, { config }: Endpoint): StoreStartError {
  if (sqlState(error) === '42501') return refusalOf(error, config)
  const reason = error instanceof Error ? error.message : String(error)
  return new StoreStartError(`The database cannot be brought up to date: ${reason}`, { cause: error })
}

function createStore(endpoint: Endpoint, db: Database): Store {
  const removal = createQueueRemoval(db.pipelined())
  const accountRemoval = createAccountRemoval(db, removal)
  const prune = createPrune(db)
  let closed: Promise<void> | null = null
  return {
    accounts: createAccountStore(db, accountRemoval),
    archive: createArchiveStore(db, db.pipelined('joins batches')),
    archiveQueries: createArchiveQueryStore(db),
    sessions: createSessionStore(db, removal),
    watermarks: createWatermarkStore(db),
    queues: createQueueStore(db, db.pipelined(), removal),
    rosters: createRosterStore(db),
    changes: createChangeStore(db),
    secrets: createSecretStore(db),
    refreshTokens: createRefreshTokenStore(db),
    audit: createAuditStore(db),
    async prune() {
      await prune()
      await accountRemoval.finish()
    },
    async ping() {
      await Promise.race([db.query(PING, []), silence(PING_TIMEOUT_MS)])
    },
    close() {
      closed ??= db.close().then(() => endpoint.close())
      return closed
    },
  }
}

async function silence(timeoutMs: number): Promise<never> {
  await pause(timeoutMs, undefined, { ref: false })
  throw new TransientStoreError('The database does not answer.')
}
