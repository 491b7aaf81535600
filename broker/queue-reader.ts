// Feeds sessions that are behind from their queues in the store.
import { setTimeout as pause } from 'node:timers/promises'
import type { Logger } from './log.ts'
import { ownPublication } from './publication.ts'
import type { Session } from './session.ts'
import type { Queued, QueueStore } from './stores.ts'
import { looseTopic } from './topic-table.ts'

const rowsPerRead = 64
const retryMs = 1000

export type QueueReaderDeps = Readonly<{ queues: QueueStore; logger: Logger }>

/** Answers a function that reads a session's queue on from its cursor until it is caught up, full or gone. */
export function createQueueReader({ queues, logger }: QueueReaderDeps): (session: Session) => void {
  /** False: the session has no room for the row. */
  function give(session: Session, row: Queued): boolean {
    const isExpired = row.expiresAt !== null && row.expiresAt <= Date.now()
    if (isExpired) {
      session.skipQueued(row.position, row.payload.length)
      return true
    }
    const publication = ownPublication(looseTopic(row.topic), row.payload, 1)
    publication.properties = row.properties
    publication.expiresAt = row.expiresAt ?? 0
    return session.takeQueued(publication, row, row.position)
  }

  async function readOn(session: Session): Promise<void> {
    while (session.transport !== null && session.behind) {
      session.readAgain = false
      const rows = await queues.read(session.id, session.cursor, rowsPerRead)
      if (session.transport === null) return
      for (const row of rows) if (!give(session, row)) return
      if (session.cursor >= session.tail) session.behind = false
      // What is behind the cursor is not committed yet: its commit calls again.
      else if (rows.length === 0 && !session.readAgain) return
    }
  }

  return (session) => {
    if (session.reading) {
      session.readAgain = true
      return
    }
    session.reading = true
    readOn(session)
      .catch(async (fault: unknown) => {
        logger.warn({ err: fault }, 'a queue could not be read; trying again')
        await pause(retryMs, undefined, { ref: false })
        session.readAgain = true
      })
      .finally(() => {
        session.reading = false
        if (session.readAgain) session.advance()
      })
  }
}
