// The audit trail: rows are written behind in batches; whoever does something never waits for its row.
import type { Logger } from './log.ts'
import type { Counters } from './metrics.ts'
import type { AuditRow, AuditStore } from './stores.ts'

const maxWaiting = 20_000
const maxBatch = 1000
const dayMs = 24 * 3600 * 1000

export interface AuditTrail {
  /** Full, because the store is away: the oldest row is dropped, counted and told in the log. */
  add(row: AuditRow): void
  /** Writes what waits; what cannot be written now stays. @throws TransientStoreError */
  flush(): Promise<void>
  /** Removes what is older than the retention. */
  prune(): Promise<void>
}

type Deps = Readonly<{
  store: Pick<AuditStore, 'append' | 'prune'>
  retentionDays: number
  counters: Counters
  logger: Logger
}>

export function createAuditTrail({ store, retentionDays, counters, logger }: Deps): AuditTrail {
  let waiting: AuditRow[] = []
  let isFull = false

  function drop(): void {
    waiting.shift()
    counters.auditDropped++
    if (!isFull) logger.error('the audit trail cannot be written fast enough; its oldest rows are dropped')
    isFull = true
  }

  async function write(batch: readonly AuditRow[]): Promise<void> {
    // Whatever was dropped meanwhile is written nevertheless, and only once (AuditStore).
    await store.append(batch)
    const written = new Set(batch)
    waiting = waiting.filter((row) => !written.has(row))
  }

  return {
    add(row) {
      if (waiting.length >= maxWaiting) drop()
      waiting.push(row)
    },
    async flush() {
      while (waiting.length > 0) await write(waiting.slice(0, maxBatch))
      isFull = false
    },
    prune: () => store.prune(Date.now() - retentionDays * dayMs),
  }
}
