// Wills of persistent sessions. A session is opened together with its Will: what it owes is never that of another connection.
import type { StoredWill } from '../../broker/stores.ts'
import type { Statement } from '../postgres.ts'

/** $4 and what follows are the Will's; $4 null: it has none. */
export const OPEN: Statement = {
  name: 'sessions-open',
  text: `WITH
  s AS (
    INSERT INTO sessions AS s (account, client_id, expiry_interval) VALUES ($1, $2, $3)
    ON CONFLICT (account, text_key(client_id))
    DO UPDATE SET epoch = s.epoch + 1, expiry_interval = excluded.expiry_interval, disconnected_at = NULL
    RETURNING id, epoch),
  d AS (DELETE FROM wills AS w USING s WHERE w.session = s.id AND $4::text IS NULL),
  w AS (
    INSERT INTO wills (session, epoch, topic, payload, properties, qos, retain, delay)
    SELECT s.id, s.epoch, $4::text, $5::bytea, $6::bytea, $7::smallint, $8::boolean, $9::bigint
    FROM s WHERE $4::text IS NOT NULL
    ON CONFLICT (session) DO UPDATE SET (epoch, topic, payload, properties, qos, retain, delay) =
      (excluded.epoch, excluded.topic, excluded.payload, excluded.properties, excluded.qos, excluded.retain,
       excluded.delay))
  SELECT id, epoch FROM s`,
}

export const ALL_WILLS: Statement = {
  name: 'wills-all',
  text: 'SELECT session, topic, payload, properties, qos, retain, delay FROM wills',
}

export const REMOVE_WILLS: Statement = {
  name: 'wills-remove',
  text: `DELETE FROM wills AS w USING unnest($1::bigint[], $2::bigint[]) AS v(session, epoch)
  WHERE w.session = v.session AND w.epoch = v.epoch`,
}

export type WillRow = StoredWill & Readonly<{ session: number }>

export function toWill({ session: _of, ...will }: WillRow): StoredWill {
  return will
}

export function willColumns(will: StoredWill | null): readonly unknown[] {
  if (will === null) return [null, null, null, null, null, null]
  return [will.topic, will.payload, will.properties, will.qos, will.retain, will.delay]
}
