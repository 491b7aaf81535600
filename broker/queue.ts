// The queue store's writer: plain publications for persistent sessions, and retained messages, in batches.
import { type Batcher, createBatcher } from './batcher.ts'
import { BrokerError } from './errors.ts'
import type { Logger } from './log.ts'
import type { Publication } from './publication.ts'
import type { Target } from './routes.ts'
import type { Handshakes, Queueing, QueueStore, ReceivedPacket, Retained } from './stores.ts'
import type { Receipt, ReceiptSink } from './types.ts'

/** Who waits for a commit; null: nobody (retained QoS 0). */
export type Waiter = Readonly<{ sink: ReceiptSink; token: number }> | null

export type Queue = Readonly<{
  /** Queues for the targets; answers the position. The waiter is settled at the commit. */
  enqueue(publication: Publication, targets: readonly Target[], retained: Retained | null, waiter: Waiter): number
  /** What no session queues: a retained message, the packet id of a QoS 2 publish. */
  keep(retained: Retained | null, received: ReceivedPacket | null, waiter: Waiter): void
  /** PUBREL has come: a publish under this packet id will be a new one. */
  forget(received: ReceivedPacket, waiter: Waiter): void
  /** PUBREC has come: the message is never to be sent again. */
  release(reference: Released, waiter: Waiter): void
  /**
   * Tells `listener` after each batch the sessions whose queues have grown, and up to which position queues are committed;
   * null: the batch could not be stored.
   */
  onBatch(listener: BatchListener): void
  batcher: Batcher<unknown>
}>

export type BatchListener = (sessions: ReadonlySet<number>, committedUpTo: number | null) => void
type Released = Handshakes['released'][number]

/** One step of a QoS 2 handshake. */
type Step = Readonly<{ kind: 'received' | 'forgotten'; of: ReceivedPacket } | { kind: 'released'; of: Released }>
type Item = Readonly<{ queueing: Queueing | null; retained: Retained | null; step: Step | null; waiter: Waiter }>

/** A plain publication has no id; its receipt says only that it is durable. */
export const durable: Receipt = Object.freeze({ id: '', ts: 0, repeated: false })
const itemBytes = 200
const stepBytes = 100

export function createQueue(store: QueueStore, lastPosition: number, logger: Logger): Queue {
  let position = lastPosition
  const listeners: BatchListener[] = []

  function tellListeners(batch: readonly Item[], committedUpTo: number | null): void {
    const sessions = new Set(batch.flatMap(({ queueing }) => queueing?.references.map(({ session }) => session) ?? []))
    if (sessions.size > 0) for (const listener of listeners) listener(sessions, committedUpTo)
  }

  const batcher = createBatcher<Item>({
    name: 'queue',
    maxItems: 2000,
    maxBytes: 8 * 1024 * 1024,
    logger,
    async commit(batch) {
      await store.append(
        batch.flatMap(({ queueing }) => queueing ?? []),
        newestRetained(batch),
        handshakesOf(batch),
      )
      for (const { waiter } of batch) waiter?.sink.settle(waiter.token, durable)
      tellListeners(batch, lastPositionOf(batch))
    },
    fail(batch, fault) {
      const error = new BrokerError('internal', undefined, { cause: fault })
      for (const { waiter } of batch) waiter?.sink.settle(waiter.token, error)
      tellListeners(batch, null)
    },
  })

  function addStep(step: Step, waiter: Waiter): void {
    batcher.add({ queueing: null, retained: null, step, waiter }, stepBytes)
  }

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
        references: targets.map(({ recipient, qos, retainAsPublished, subscriptionIds }) => ({
          session: recipient.id,
          qos: qos === 2 && kept.qos === 2 ? 2 : 1,
          retain: retainAsPublished && kept.retain,
          subscriptionIds,
        })),
      }
      const step = stepOf(publication.received)
      batcher.add({ queueing, retained, step, waiter }, itemBytes + kept.payload.length + kept.topic.name.length)
      return position
    },
    keep(retained, received, waiter) {
      const bytes = retained === null ? 0 : itemBytes + retained.payload.length + retained.topic.length
      batcher.add({ queueing: null, retained, step: stepOf(received), waiter }, stepBytes + bytes)
    },
    forget: (received, waiter) => addStep({ kind: 'forgotten', of: received }, waiter),
    release: (reference, waiter) => addStep({ kind: 'released', of: reference }, waiter),
    onBatch: (listener) => void listeners.push(listener),
    batcher: batcher as Batcher<unknown>,
  }
}

function stepOf(received: ReceivedPacket | null): Step | null {
  return received === null ? null : { kind: 'received', of: received }
}

function lastPositionOf(batch: readonly Item[]): number {
  return batch.findLast(({ queueing }) => queueing !== null)?.queueing?.position ?? 0
}

/** Of several steps of one packet id the last one counts. Null: there are none. */
function handshakesOf(batch: readonly Item[]): Handshakes | null {
  const steps = batch.flatMap(({ step }) => step ?? [])
  if (steps.length === 0) return null
  const packets = new Map<string, Exclude<Step, { kind: 'released' }>>()
  for (const step of steps) if (step.kind !== 'released') packets.set(`${step.of.session}/${step.of.packetId}`, step)
  const last = [...packets.values()]
  return {
    received: last.filter(({ kind }) => kind === 'received').map(({ of }) => of),
    forgotten: last.filter(({ kind }) => kind === 'forgotten').map(({ of }) => of),
    released: steps.flatMap((step) => (step.kind === 'released' ? step.of : [])),
  }
}

/** One row per topic: the last of the batch wins. */
function newestRetained(batch: readonly Item[]): Retained[] {
  const byTopic = new Map<string, Retained>()
  for (const { retained } of batch) if (retained) byTopic.set(retained.topic, retained)
  return [...byTopic.values()]
}
