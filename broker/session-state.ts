// What of a session is in the store, and back. Pure.
import type { QueueCursor } from './queue-cursor.ts'
import type { Session } from './session.ts'
import { isShared } from './shared-filter.ts'
import type { SessionState, StoredSession } from './stores.ts'

export function restoreQueue(queue: QueueCursor, stored: StoredSession): void {
  queue.cursor = stored.head
  queue.tail = Math.max(stored.tail, stored.head)
  queue.count(stored.queued, stored.queuedBytes)
  queue.behind = queue.tail > queue.cursor
  if (queue.behind) for (const { filter } of stored.subscriptions) if (isShared(filter)) queue.shared.add(filter)
  // It was online at an unclean stop: all that it had may have been sent.
  queue.dupUpTo = stored.disconnectedAt === null ? queue.tail : stored.sent
  queue.former = new Map(stored.inFlight)
  queue.formerCursor = stored.cursor
}

export function toState({
  id,
  epoch,
  queue,
  inFlight,
  expiryInterval,
  disconnectedAt,
  streams,
}: Session): SessionState {
  const { head = 0, sent = 0, knownUpTo: cursor = 0 } = queue ?? {}
  const { sent: streamSent = 0, eventPosition = 0 } = streams ?? {}
  const queued = { head, sent, cursor, inFlight }
  const positions = streams?.positions() ?? new Map<string, number>()
  return { id, epoch, ...queued, streamSent, eventPosition, expiryInterval, disconnectedAt, positions }
}
