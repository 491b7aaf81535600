// What a member of a shared subscription has not taken goes to other members. MQTT 5 §4.8.2; decision 0015
import { setTimeout as pause } from 'node:timers/promises'
import { durable, type Waiter } from './durable.ts'
import { BrokerError } from './errors.ts'
import type { Logger } from './log.ts'
import { ownPublication } from './publication.ts'
import type { Queue } from './queue.ts'
import type { QueueCursor } from './queue-cursor.ts'
import type { Router } from './router.ts'
import type { SharedGroup } from './routes.ts'
import type { InFlight } from './send-window.ts'
import type { Session } from './session.ts'
import { giveToGroup, Together } from './shared-bus.ts'
import type { Queued, QueueStore } from './stores.ts'
import { looseTopic } from './topic-table.ts'

export type RedistributionDeps = Readonly<{
  queues: Pick<QueueStore, 'read' | 'readShared'>
  queue: Pick<Queue, 'nextPosition' | 'enqueue' | 'move' | 'settled'>
  router: Pick<Router, 'group'>
  logger: Logger
}>

export type Redistribution = Readonly<{
  /** It has no connection. What it keeps waits for it unless a member with a queue is online. May be called often. */
  lost(session: Session): void
  /** It has unsubscribed: what was not sent goes; what is in flight stays [MQTT-3.10.4-3]. */
  left(session: Session, filter: string): void
  /** It has ended, and is still in the store. Rejects when the store fails: then it must stay there. */
  ended(session: Session): Promise<void>
  /** The same of one without a queue, at once: what was in flight, and what waits in its groups. */
  endedClean(inFlight: readonly InFlight[], groups: readonly SharedGroup[]): void
}>

/** Which rows go: of these filters, behind `after`; to members that are online or to any. */
type Pass = Readonly<{ after: number; filters: readonly string[]; onlineOnly: boolean; ends: boolean }>

const rowsPerPass = 64
const turnMs = 10

export function createRedistribution({ queues, queue, router, logger }: RedistributionDeps): Redistribution {
  const busy = new Set<Session>()

  /** Gives one row away; answers its bytes, -1 when nobody takes it. */
  function give(session: Session, row: Queued, pass: Pass, together: Together): number {
    const group = router.group(row.share)
    const target = group?.chooseKeeping(row.qos) ?? null
    const publication = toPublication(row)
    if (target === null) {
      // Its row goes with the session.
      if (group && pass.ends) giveToGroup(queue, group, publication, null)
      return -1
    }
    if (target.recipient === session || (pass.onlineOnly && !target.recipient.isOnline)) return -1
    const position = queue.nextPosition()
    target.recipient.deliver(publication, target, position)
    const qos = target.qos === 2 ? row.qos : 1
    const to = { session: target.recipient.id, position, qos, subscriptionIds: target.subscriptionIds }
    queue.move({ session: session.id, position: row.position, to }, together.add())
    return row.payload.length
  }

  async function giveRows(
    session: Session,
    cursor: QueueCursor,
    rows: readonly Queued[],
    pass: Pass,
  ): Promise<boolean> {
    const moved = new Map<number, number>()
    let isWhole = true
    await committed((together) => {
      for (const row of rows) {
        const isExpired = row.expiresAt !== null && row.expiresAt <= Date.now()
        if (isExpired || !cursor.mayMove(row.position, row)) continue
        const bytes = give(session, row, pass, together)
        if (bytes >= 0) moved.set(row.position, bytes)
        else isWhole = false
      }
    })
    session.giveUp(moved)
    return isWhole
  }

  async function run(session: Session, cursor: QueueCursor, pass: Pass): Promise<void> {
    // What lingers, or is in a batch, is in the store then.
    // What comes after this line may not be.
    const { tail } = cursor
    await new Promise<void>((resolve, reject) => queue.settled(toWaiter(resolve, reject)))
    let isWhole = true
    for (const filter of pass.filters) cursor.shared.delete(filter)
    try {
      for (let after = pass.after, isMore = true; isMore; ) {
        const rows = await queues.readShared(session.id, after, rowsPerPass, pass.filters)
        isWhole = (await giveRows(session, cursor, rows, pass)) && isWhole
        after = rows.at(-1)?.position ?? after
        isMore = rows.length === rowsPerPass
      }
    } catch (fault) {
      isWhole = false
      throw fault
    } finally {
      if (!isWhole) for (const filter of pass.filters) cursor.shared.add(filter)
    }
    if (!pass.ends && (await queues.read(session.id, cursor.cursor, 1)).length === 0) cursor.catchUp(tail)
  }

  /** Nothing is read from its queue meanwhile. */
  async function runAlone(session: Session, cursor: QueueCursor, pass: Omit<Pass, 'after'>): Promise<void> {
    while (cursor.reading || busy.has(session)) await pause(turnMs, undefined, { ref: false })
    busy.add(session)
    cursor.reading = true
    cursor.fallBehind()
    try {
      await run(session, cursor, { ...pass, after: session.isOnline ? cursor.cursor : cursor.head })
    } finally {
      busy.delete(session)
      cursor.reading = false
      session.advance()
    }
  }

  function start(session: Session, cursor: QueueCursor, pass: Omit<Pass, 'after'>): void {
    runAlone(session, cursor, pass).catch((fault: unknown) =>
      logger.warn({ err: fault }, 'messages of a shared subscription stay with their member for now'),
    )
  }

  return {
    lost(session) {
      const { queue: cursor } = session
      if (cursor === null || cursor.shared.size === 0 || busy.has(session)) return
      const hasTaker = (filter: string) => router.group(filter)?.chooseKeeping(1)?.recipient.isOnline
      const filters = [...cursor.shared].filter(hasTaker)
      if (filters.length > 0) start(session, cursor, { filters, onlineOnly: true, ends: false })
    },
    left(session, filter) {
      const group = router.group(filter)
      if (group === undefined) return
      for (const publication of group.takeWaiting()) giveToGroup(queue, group, publication, null)
      if (session.queue?.shared.has(filter))
        start(session, session.queue, { filters: [filter], onlineOnly: false, ends: false })
    },
    async ended(session) {
      const { queue: cursor } = session
      // A pass that goes on has taken its filters out.
      while (busy.has(session)) await pause(turnMs, undefined, { ref: false })
      if (cursor !== null && cursor.shared.size > 0)
        await runAlone(session, cursor, { filters: [...cursor.shared], onlineOnly: false, ends: true })
    },
    endedClean(inFlight, groups) {
      for (const { publication, share = '' } of inFlight) {
        const group = router.group(share)
        if (group) giveToGroup(queue, group, publication, null)
      }
      for (const group of groups)
        for (const publication of group.takeWaiting()) giveToGroup(queue, group, publication, null)
    },
  }
}

/** Resolves when all that was added is committed. */
function committed(add: (together: Together) => void): Promise<void> {
  return new Promise((resolve, reject) => {
    const together = new Together(toWaiter(resolve, reject))
    add(together)
    together.settle(0, durable)
  })
}

function toWaiter(resolve: () => void, reject: (fault: BrokerError) => void): Waiter {
  const settle = (_token: number, outcome: unknown) => {
    if (outcome instanceof BrokerError) reject(outcome)
    else resolve()
  }
  return { sink: { settle }, token: 0 }
}

function toPublication({ topic, payload, qos, retain, properties, expiresAt }: Queued) {
  const publication = ownPublication(looseTopic(topic), payload, qos)
  publication.retain = retain
  publication.properties = properties
  publication.expiresAt = expiresAt ?? 0
  return publication
}
