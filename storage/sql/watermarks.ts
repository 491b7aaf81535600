// Receipts and read markers: the newest of each conversation and account (DESIGN §2).
import type { Raised, Raising, WatermarkRow, WatermarkStore } from '../../broker/stores.ts'
import type { Connection, Statement } from '../postgres.ts'

/*
 * v  the batch
 * r  each with the message that it names, which its peer sent to it: by its id, or as XMPP names messages, newest first
 * o  one row per owner who is told
 * d  of each watermark the newest in this batch. Messages of one commit have one time: the last word counts
 * i  what is newer than what is stored. A batch whose outcome was unknown finds its own rows and answers them again
 */
const RAISE: Statement = {
  name: 'watermarks-raise',
  text: `WITH
  v AS MATERIALIZED (
    SELECT * FROM unnest($1::bigint[], $2::uuid[], $3::text[], $4::bigint[], $5::bigint[], $6::uuid[], $7::text[])
      AS v(n, id, kind, account, peer, ref, xref)),
  r AS MATERIALIZED (
    SELECT v.*, m.id AS message, m.ts AS place, m.xid FROM v JOIN messages AS m ON m.id = v.ref
    WHERE m.sender = v.peer AND m.receiver = v.account
    UNION ALL
    SELECT v.*, m.id, m.ts, m.xid FROM v CROSS JOIN LATERAL (
      SELECT m.id, m.ts, m.xid FROM (
        SELECT seq, message FROM archive WHERE owner = v.account AND peer = v.peer ORDER BY seq DESC LIMIT 500) AS a
      JOIN messages AS m ON m.id = a.message
      WHERE m.sender = v.peer AND v.xref IN (m.xid, m.oid, m.id::text) ORDER BY a.seq DESC LIMIT 1) AS m
    WHERE v.xref IS NOT NULL),
  o AS (
    SELECT r.peer AS owner, r.account AS other, r.* FROM r
    UNION ALL
    SELECT r.account, r.peer, r.* FROM r WHERE r.kind = 'marker' AND r.account <> r.peer),
  d AS (SELECT DISTINCT ON (owner, other, account, kind) * FROM o ORDER BY owner, other, account, kind, place DESC, n DESC),
  i AS (
    INSERT INTO watermarks AS w (owner, peer, account, kind, id, message, xid, place, at, n)
    SELECT owner, other, account, kind, id, message, xid, place, date_trunc('milliseconds', now()), n
    FROM d ORDER BY owner, other, account, kind
    ON CONFLICT (owner, peer, account, kind) DO UPDATE
      SET (id, message, xid, place, at, n) =
        (excluded.id, excluded.message, excluded.xid, excluded.place, excluded.at, excluded.n)
      WHERE (w.place <= excluded.place AND w.message <> excluded.message) OR w.id = excluded.id
    RETURNING owner, n)
  SELECT r.n, r.message, r.xid, floor(extract(epoch FROM now()) * 1000)::bigint AS at,
    ARRAY(SELECT i.owner::text FROM i WHERE i.n = r.n) AS owners
  FROM r`,
}

const READ: Statement = {
  name: 'watermarks-read',
  text: `SELECT w.owner, w.n, w.id, w.kind, w.account, w.peer, o.name AS "ownerName", coalesce(p.name, '') AS "peerName",
    w.message, w.xid, floor(extract(epoch FROM w.at) * 1000)::bigint AS at
  FROM watermarks AS w JOIN accounts AS o ON o.id = w.owner LEFT JOIN accounts AS p ON p.id = w.peer
  WHERE w.owner = $1 AND w.n > $2 ORDER BY w.n LIMIT $3`,
}

const LAST_POSITION: Statement = {
  name: 'watermarks-last-position',
  text: `SELECT greatest(
    (SELECT coalesce(max(n), 0) FROM watermarks), (SELECT coalesce(max(event_position), 0) FROM sessions)) AS position`,
}

type RaisedRow = Omit<Raised, 'owners'> & Readonly<{ n: number; owners: readonly string[] }>

export function createWatermarkStore(db: Connection): WatermarkStore {
  return {
    async raise(batch) {
      if (batch.length === 0) return []
      const rows = await db.query<RaisedRow>(RAISE, columns(batch))
      const byN = new Map(rows.map(({ n, owners, ...raised }) => [n, { ...raised, owners: owners.map(Number) }]))
      return batch.map(({ n }) => byN.get(n) ?? null)
    },
    read: (owner, after, limit) => db.query<WatermarkRow>(READ, [owner, after, limit]),
    async lastPosition() {
      const [row] = await db.query<{ position: number }>(LAST_POSITION, [])
      return row?.position ?? 0
    },
  }
}

const uuid = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i

function columns(batch: readonly Raising[]): readonly unknown[][] {
  return [
    batch.map((one) => one.n),
    batch.map((one) => one.id),
    batch.map((one) => one.kind),
    batch.map((one) => one.account),
    batch.map((one) => one.peer),
    batch.map(({ ref }) => ('id' in ref && uuid.test(ref.id) ? ref.id : null)),
    batch.map(({ ref }) => ('xid' in ref ? ref.xid : null)),
  ]
}
