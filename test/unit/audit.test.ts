import { expect, test } from 'vitest'
import { createAuditTrail } from '../../broker/audit.ts'
import { createEvents } from '../../broker/events.ts'
import { createLogger } from '../../broker/log.ts'
import { createMetrics } from '../../broker/metrics.ts'
import { type AuditRow, TransientStoreError } from '../../broker/stores.ts'

function trailOn(append: (rows: readonly AuditRow[]) => Promise<void>) {
  const { counters } = createMetrics()
  const logger = createLogger('silent')
  const pruned: number[] = []
  const store = { append, prune: async (before: number) => void pruned.push(before) }
  const trail = createAuditTrail({ store, retentionDays: 2, counters, logger })
  return { trail, counters, pruned, events: createEvents({ counters, logger, audit: trail }) }
}

test('an event is a metric and a row, written behind in batches', async () => {
  const written: AuditRow[][] = []
  const { trail, events, counters } = trailOn(async (rows) => void written.push([...rows]))
  for (let n = 0; n < 1500; n++) {
    events.record({ action: 'login.failed', border: 'mqtt', name: `u${n}`, address: '192.0.2.1' })
  }
  expect(written).toEqual([])
  await trail.flush()
  expect(written.map(({ length }) => length)).toEqual([1000, 500])
  expect(written[0]?.[0]).toMatchObject({ action: 'login.failed', border: 'mqtt', name: 'u0', account: null })
  expect(counters.loginFailures).toBe(1500)
})

test('DESIGN §9: while the store is away rows wait up to a limit; then the oldest are dropped and counted', async () => {
  let isAway = true
  const written: AuditRow[] = []
  const { trail, events, counters } = trailOn(async (rows) => {
    if (isAway) throw new TransientStoreError('away')
    written.push(...rows)
  })
  for (let n = 0; n < 20_003; n++) events.record({ action: 'history.read', border: 'http', name: `u${n}` })
  await expect(trail.flush()).rejects.toThrow('away')
  expect(counters.auditDropped).toBe(3)
  isAway = false
  await trail.flush()
  expect(written).toHaveLength(20_000)
  expect(written[0]?.name).toBe('u3')
})

test('what is older than the retention is removed', async () => {
  const { trail, pruned } = trailOn(async () => undefined)
  await trail.prune()
  expect(Date.now() - (pruned[0] ?? 0)).toBeGreaterThanOrEqual(2 * 24 * 3600 * 1000)
})
