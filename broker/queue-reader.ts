// Feeds sessions that are behind from their queues in the store.
import { setTimeout as pause } from 'node:timers/promises'
import type { Logger } from './log.ts'
import { ownPublication } from './publication.ts'
import type { QueueCursor } from './queue-cursor.ts'
import type { ReadOn, Session } from './session.ts'
import type { Queued, QueueStore } from './stores.ts'
import { looseTopic } from './topic-table.ts'

const rowsPerRead = 64
const retryMs = 1000

export type QueueReaderDeps = Readonly<{ queues: QueueStore; logger: Logger }>

/** Answers a function that reads a session's queue on from its cursor until it is caught up, full or gone. */
export function createQueueReader({ queues, logger }: QueueReaderDeps): ReadOn {
  async function readOn(session: Session, queue: QueueCursor): Promise<void> {
    while (session.transport !== null && queue.behind) {
      queue.readAgain = false
      const rows = await queues.read(session.id, queue.cursor, rowsPerRead)
      if (session.transport === null) return
      for (const row of rows) if (!give(session, queue, row)) return
      if (queue.cursor >= queue.tail) queue.behind = false
      // What is behind the cursor is not committed yet: its commit calls again.
      else if (rows.length === 0 && !queue.readAgain) return
    }
  }

  return (session, queue) => {
    if (queue.reading) {
      queue.readAgain = true
      return
    }
    queue.reading = true
    readOn(session, queue)
      .catch(async (fault: unknown) => {
        logger.warn({ err: fault }, 'a queue could not be read; trying again')
        await pause(retryMs, undefined, { ref: false })
        queue.readAgain = true
      })
      .finally(() => {
        queue.reading = false
        if (queue.readAgain) session.advance()
      })
  }
}

/** False: the session has no room for the row. */
function give(session: Session, queue: QueueCursor, row: Queued): boolean {
  // Dropped from a full queue while it was being read.
  if (row.position <= queue.cursor) return true
  const isForbidden = session.rights?.mayReceive(row.topic) === false
  const isUnwanted = isForbidden || (row.expiresAt !== null && row.expiresAt <= Date.now())
  if ((isUnwanted && !queue.hasBegun(row.position, row)) || queue.isAcknowledged(row.position, row)) {
    queue.skip(row.position, row.payload.length)
    session.dirty = true
    return true
  }
  const publication = ownPublication(looseTopic(row.topic), row.payload, row.qos)
  publication.properties = row.properties
  publication.expiresAt = row.expiresAt ?? 0
  // What has begun and may not be received any more: its packet id is released.
  return session.takeQueued(queue, publication, isForbidden ? { ...row, released: true } : row, row.position)
}
