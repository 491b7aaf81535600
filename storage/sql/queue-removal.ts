// What leaves the queues of plain topics. All of it runs on one connection, one statement after the other: two that each
// took one of a body's last two references at the same time would both leave the body behind.
import type { QueueStore } from '../../broker/stores.ts'
import type { Connection, Statement } from '../postgres.ts'

/** `d` answers the positions of the references that went: a body goes when these were all it had. */
const REMOVE_BODIES = `DELETE FROM queue_bodies AS b USING (SELECT position, count(*) AS n FROM d GROUP BY position) AS d
    WHERE b.position = d.position
      AND NOT EXISTS (SELECT FROM queue_references AS q WHERE q.position = b.position OFFSET d.n)`

const ACKNOWLEDGE: Statement = {
  name: 'queue-acknowledge',
  text: `WITH
  v AS MATERIALIZED (SELECT * FROM unnest($1::bigint[], $2::bigint[]) AS v(session, head)),
  d AS (
    DELETE FROM queue_references AS r USING v WHERE r.session = v.session AND r.position <= v.head RETURNING r.position)
  ${REMOVE_BODIES}`,
}

const REMOVE_SESSIONS: Statement = {
  name: 'queue-remove-sessions',
  text: `WITH d AS (DELETE FROM queue_references WHERE session = ANY ($1::bigint[]) RETURNING position)
  ${REMOVE_BODIES}`,
}
const REMOVE_RECEIVED: Statement = {
  name: 'queue-remove-received',
  text: 'DELETE FROM received_packets WHERE session = ANY ($1::bigint[])',
}

/** `f` stays: QoS 2 that may be in flight. Messages go out in order, so of what is not released it is the oldest. */
const TRIM: Statement = {
  name: 'queue-trim',
  text: `WITH
  s AS MATERIALIZED (SELECT id, head FROM sessions WHERE id = $1 FOR NO KEY UPDATE),
  cut AS MATERIALIZED (
    SELECT r.position FROM s JOIN queue_references AS r ON r.session = s.id AND r.position > s.head
    ORDER BY r.position DESC OFFSET $2 LIMIT 1),
  f AS MATERIALIZED (
    (SELECT r.position FROM s JOIN queue_references AS r ON r.session = s.id AND r.position > s.head
     WHERE r.qos = 2 AND NOT r.released ORDER BY r.position LIMIT $3)
    UNION ALL
    SELECT r.position FROM s JOIN queue_references AS r ON r.session = s.id AND r.position > s.head WHERE r.released),
  h AS MATERIALIZED (SELECT least(cut.position, (SELECT min(position) - 1 FROM f)) AS head FROM cut),
  d AS (
    DELETE FROM queue_references AS r USING cut
    WHERE r.session = $1 AND r.position <= cut.position AND r.position NOT IN (SELECT position FROM f)
    RETURNING r.position),
  n AS MATERIALIZED (
    SELECT count(*) AS dropped, coalesce(sum(octet_length(b.payload)), 0)::bigint AS bytes
    FROM d JOIN s ON d.position > s.head JOIN queue_bodies AS b ON b.position = d.position),
  b AS (${REMOVE_BODIES}),
  u AS (UPDATE sessions AS w SET head = h.head FROM h WHERE w.id = $1)
  SELECT coalesce((SELECT head FROM h), (SELECT head FROM s), 0) AS head, n.dropped, n.bytes FROM n`,
}

/** References and packet ids without session, and bodies without reference, that an unclean stop has left. */
const SWEEP_REFERENCES: Statement = {
  name: 'queue-sweep-references',
  text: `DELETE FROM queue_references WHERE session IN (
    SELECT session FROM (SELECT DISTINCT session FROM queue_references) AS r
    WHERE NOT EXISTS (SELECT FROM sessions AS s WHERE s.id = r.session))`,
}
const SWEEP_RECEIVED: Statement = {
  name: 'queue-sweep-received',
  text: 'DELETE FROM received_packets AS t WHERE NOT EXISTS (SELECT FROM sessions AS s WHERE s.id = t.session)',
}
const SWEEP_BODIES: Statement = {
  name: 'queue-sweep-bodies',
  text: `DELETE FROM queue_bodies AS b
  WHERE NOT EXISTS (SELECT FROM queue_references AS r WHERE r.position = b.position)`,
}

export interface QueueRemoval extends Pick<QueueStore, 'acknowledge' | 'trim'> {
  removeSessions(ids: readonly number[]): Promise<void>
  sweep(): Promise<void>
}

/** `remover` is a connection for this alone. */
export function createQueueRemoval(remover: Connection): QueueRemoval {
  return {
    async acknowledge(heads) {
      if (heads.size > 0) await remover.query(ACKNOWLEDGE, [[...heads.keys()], [...heads.values()]])
    },
    async trim(session, keep, inFlight) {
      const values = [session, keep, inFlight]
      const [row] = await remover.query<{ head: number; dropped: number; bytes: number }>(TRIM, values)
      return { head: row?.head ?? 0, dropped: row?.dropped ?? 0, droppedBytes: row?.bytes ?? 0 }
    },
    async removeSessions(ids) {
      await remover.query(REMOVE_SESSIONS, [ids])
      await remover.query(REMOVE_RECEIVED, [ids])
    },
    async sweep() {
      await remover.query(SWEEP_REFERENCES, [])
      await remover.query(SWEEP_RECEIVED, [])
      await remover.query(SWEEP_BODIES, [])
    },
  }
}
