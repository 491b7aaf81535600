// The queue store's writer: plain publications for persistent sessions, and retained messages, in batches.
import { type Batcher, createBatcher } from './batcher.ts'
import { durable, type Waiter } from './durable.ts'
import { BrokerError } from './errors.ts'
import { createLinger, Lingering } from './linger.ts'
import type { Logger } from './log.ts'
import type { Publication } from './publication.ts'
import type { Target } from './routes.ts'
import type { Handshakes, Move, Queueing, QueueStore, ReceivedPacket, Retained } from './stores.ts'

export type Queue = Readonly<{
  /** The place of the next publication in the queues that it goes to. */
  nextPosition(): number
  /**
   * Queues for the targets, after they were given it: references of those that it was sent to may be left out when they
   * acknowledge within 10 ms. The waiter is settled when the others are committed.
   */
  enqueue(
    publication: Publication,
    position: number,
    targets: readonly Target[],
    retained: Retained | null,
    waiter: Waiter,
  ): void
  /** What no session queues: a retained message, the packet id of a QoS 2 publish. */
  keep(retained: Retained | null, received: ReceivedPacket | null, waiter: Waiter): void
  /** PUBREL has come: a publish under this packet id will be a new one. */
  forget(received: ReceivedPacket, waiter: Waiter): void
  /** PUBREC has come: the message is never to be sent again. */
  release(reference: Released, waiter: Waiter): void
  /** A reference goes to another session, which was given the message. */
  move(move: Move, waiter: Waiter): void
  /** Settles when all that was queued before is committed, also what lingers. */
  settled(waiter: Waiter): void
  /**
   * Tells `listener` after each batch the sessions whose queues have grown, and up to which position queues are committed;
   * null: the batch could not be stored.
   */
  onBatch(listener: BatchListener): void
  /** What waits for a commit. */
  waiting: Pick<Batcher<unknown>, 'waitingBytes' | 'waitingMs'>
  /** Resolves when all that was queued before is settled. */
  drained(): Promise<void>
  /** Gives up what is being retried. */
  abandon(): void
}>

export type BatchListener = (sessions: ReadonlySet<number>, committedUpTo: number | null) => void
type Released = Handshakes['released'][number]

/** One step of a QoS 2 handshake. */
type Step = Readonly<
  | { kind: 'received' | 'forgotten'; of: ReceivedPacket }
  | { kind: 'released'; of: Released }
  | { kind: 'moved'; of: Move }
>
type Item = Readonly<{ queueing: Queueing | null; retained: Retained | null; step: Step | null; waiter: Waiter }>

const none: readonly Target[] = []
const itemBytes = 200
const stepBytes = 100

export function createQueue(store: QueueStore, lastPosition: number, logger: Logger): Queue {
  let position = lastPosition
  const listeners: BatchListener[] = []

  function tellListeners(batch: readonly Item[], committedUpTo: number | null): void {
    const sessions = new Set(batch.flatMap(sessionsOf))
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

  const linger = createLinger((lingering) => {
    const targets = lingering.takeDue()
    if (targets.length === 0) return
    const { publication, position: place } = lingering
    addQueueing(publication, place, targets, null, null, { sink: lingering, token: 0 })
  })

  function addQueueing(
    kept: Publication,
    place: number,
    targets: readonly Target[],
    retained: Retained | null,
    step: Step | null,
    waiter: Waiter,
  ): void {
    batcher.add({ queueing: toQueueing(kept, place, targets), retained, step, waiter }, itemBytes + bytesOf(kept))
  }

  function addStep(step: Step, waiter: Waiter): void {
    batcher.add({ queueing: null, retained: null, step, waiter }, stepBytes)
  }

  return {
    nextPosition: () => ++position,
    enqueue(publication, place, targets, retained, waiter) {
      const kept = publication.kept()
      const mustWrite = retained !== null || publication.received !== null
      const sent = mustWrite ? none : targets.filter(({ recipient }) => recipient.hasSent(place))
      const rest = sent.length === 0 ? targets : targets.filter(({ recipient }) => !recipient.hasSent(place))
      if (sent.length === 0) addQueueing(kept, place, rest, retained, stepOf(publication.received), waiter)
      else {
        const lingering = new Lingering(kept, place, sent, waiter, rest.length > 0 ? 2 : 1)
        kept.lingering = lingering
        linger.add(lingering, bytesOf(kept))
        if (rest.length > 0) addQueueing(kept, place, rest, null, null, { sink: lingering, token: 0 })
      }
    },
    keep(retained, received, waiter) {
      const bytes = retained === null ? 0 : itemBytes + retained.payload.length + retained.topic.length
      batcher.add({ queueing: null, retained, step: stepOf(received), waiter }, stepBytes + bytes)
    },
    forget: (received, waiter) => addStep({ kind: 'forgotten', of: received }, waiter),
    release: (reference, waiter) => addStep({ kind: 'released', of: reference }, waiter),
    move: (move, waiter) => addStep({ kind: 'moved', of: move }, waiter),
    settled(waiter) {
      linger.flush()
      batcher.add({ queueing: null, retained: null, step: null, waiter }, stepBytes)
    },
    onBatch: (listener) => void listeners.push(listener),
    waiting: {
      waitingBytes: () => batcher.waitingBytes() + linger.waitingBytes(),
      waitingMs: batcher.waitingMs,
    },
    drained() {
      linger.flush()
      return batcher.drained()
    },
    abandon: batcher.abandon,
  }
}

function stepOf(received: ReceivedPacket | null): Step | null {
  return received === null ? null : { kind: 'received', of: received }
}

/** Whose queues it has made grow. */
function sessionsOf({ queueing, step }: Item): readonly number[] {
  if (step?.kind === 'moved') return [step.of.to.session]
  return queueing?.references.map(({ session }) => session) ?? []
}

/** What has lingered stands behind what came later. */
function lastPositionOf(batch: readonly Item[]): number {
  return batch.reduce(
    (last, { queueing, step }) =>
      Math.max(last, queueing?.position ?? 0, step?.kind === 'moved' ? step.of.to.position : 0),
    0,
  )
}

function bytesOf({ payload, properties, topic }: Publication): number {
  return payload.length + properties.length + topic.name.length
}

function toQueueing(kept: Publication, position: number, targets: readonly Target[]): Queueing {
  return {
    position,
    topic: kept.topic.name,
    payload: kept.payload,
    properties: kept.properties,
    expiresAt: kept.expiresAt || null,
    references: targets.map(({ recipient, qos, retainAsPublished, subscriptionIds, share }) => ({
      session: recipient.id,
      qos: qos === 2 && kept.qos === 2 ? 2 : 1,
      retain: retainAsPublished && kept.retain,
      subscriptionIds,
      share,
    })),
  }
}

/** Of several steps of one packet id the last one counts. Null: there are none. */
function handshakesOf(batch: readonly Item[]): Handshakes | null {
  const steps = batch.flatMap(({ step }) => step ?? [])
  if (steps.length === 0) return null
  const packets = new Map<string, Exclude<Step, { kind: 'released' | 'moved' }>>()
  for (const step of steps)
    if (step.kind !== 'released' && step.kind !== 'moved') packets.set(`${step.of.session}/${step.of.packetId}`, step)
  const last = [...packets.values()]
  return {
    received: last.filter(({ kind }) => kind === 'received').map(({ of }) => of),
    forgotten: last.filter(({ kind }) => kind === 'forgotten').map(({ of }) => of),
    released: steps.flatMap((step) => (step.kind === 'released' ? step.of : [])),
    moved: steps.flatMap((step) => (step.kind === 'moved' ? step.of : [])),
  }
}

/** One row per topic: the last of the batch wins. */
function newestRetained(batch: readonly Item[]): Retained[] {
  const byTopic = new Map<string, Retained>()
  for (const { retained } of batch) if (retained) byTopic.set(retained.topic, retained)
  return [...byTopic.values()]
}
