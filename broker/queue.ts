// The queue store's writer: plain publications for persistent sessions, and retained messages, in batches.
import { type Batcher, createBatcher } from './batcher.ts'
import { BrokerError } from './errors.ts'
import type { Logger } from './log.ts'
import type { Publication } from './publication.ts'
import type { Target } from './routes.ts'
import type { Queueing, QueueStore, Retained } from './stores.ts'
import type { Receipt, ReceiptSink } from './types.ts'

/** Who waits for a plain publication's commit; null: nobody (retained QoS 0). */
export type Waiter = Readonly<{ sink: ReceiptSink; token: number }> | null

export type Queue = Readonly<{
  /** Queues for the targets; answers the position. The waiter is settled at the commit. */
  enqueue(publication: Publication, targets: readonly Target[], retained: Retained | null, waiter: Waiter): number
  /** Stores a retained message that no session queues. */
  retain(retained: Retained, waiter: Waiter): void
  /** Tells `listener` the sessions whose queues have grown, after each commit. */
  onCommitted(listener: (sessions: readonly number[]) => void): void
  batcher: Batcher<unknown>
}>

type Item = Readonly<{ queueing: Queueing | null; retained: Retained | null; waiter: Waiter }>

/** A plain publication has no id; its receipt says only that it is durable. */
export const durable: Receipt = Object.freeze({ id: '', ts: 0, repeated: false })
const itemBytes = 200

export function createQueue(store: QueueStore, lastPosition: number, logger: Logger): Queue {
  let position = lastPosition
  const listeners: ((sessions: readonly number[]) => void)[] = []

  const batcher = createBatcher<Item>({
    name: 'queue',
    maxItems: 2000,
    maxBytes: 8 * 1024 * 1024,
    logger,
    async commit(batch) {
      await store.append(
        batch.flatMap(({ queueing }) => queueing ?? []),
        newestRetained(batch),
      )
      for (const { waiter } of batch) waiter?.sink.settle(waiter.token, durable)
      const sessions = new Set(
        batch.flatMap(({ queueing }) => queueing?.references.map(({ session }) => session) ?? []),
      )
      if (sessions.size > 0) for (const listener of listeners) listener([...sessions])
    },
    fail(batch, fault) {
      const error = new BrokerError('internal', undefined, { cause: fault })
      for (const { waiter } of batch) waiter?.sink.settle(waiter.token, error)
    },
  })

  return {
    enqueue(publication, targets, retained, waiter) {
      position++
      const kept = publication.kept()
      const queueing: Queueing = {
        position,
        topic: kept.topic.name,
        payload: kept.payload,
        properties: kept.properties,
        expiresAt: kept.expiresAt || null,
        references: targets.map(({ recipient, retainAsPublished, subscriptionIds }) => ({
          session: recipient.id,
          retain: retainAsPublished && kept.retain,
          subscriptionIds,
        })),
      }
      batcher.add({ queueing, retained, waiter }, itemBytes + kept.payload.length + kept.topic.name.length)
      return position
    },
    retain(retained, waiter) {
      batcher.add({ queueing: null, retained, waiter }, itemBytes + retained.payload.length + retained.topic.length)
    },
    onCommitted: (listener) => void listeners.push(listener),
    batcher: batcher as Batcher<unknown>,
  }
}

/** One row per topic: the last of the batch wins. */
function newestRetained(batch: readonly Item[]): Retained[] {
  const byTopic = new Map<string, Retained>()
  for (const { retained } of batch) if (retained) byTopic.set(retained.topic, retained)
  return [...byTopic.values()]
}
