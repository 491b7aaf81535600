// One owner's log by id, by time and by page. Neither needs an index of its own: within a log `seq` has no holes and the
// time never runs backwards, so that a place in time is found by halving.
import type { ArchiveQueryStore, ArchiveRow } from '../../broker/stores.ts'
import type { ArchivePageQuery, ArchiveRange } from '../../broker/types.ts'
import type { Connection, Statement } from '../postgres.ts'
import { ROW_COLUMNS, ROW_TABLES, type Row, toArchiveRow } from './archive.ts'

/** `w`: what is looked for, each with a number `i` and an instant `at`. The answer `s` has `lo` where `lo = hi`. */
const HALVING = `
  b AS MATERIALIZED (
    SELECT coalesce((SELECT min(seq) FROM archive WHERE owner = $1), 1) AS lo,
      coalesce((SELECT max(seq) FROM archive WHERE owner = $1), 0) + 1 AS hi),
  s AS (
    SELECT w.i, w.at, b.lo, b.hi FROM w CROSS JOIN b
    UNION ALL
    SELECT t.i, t.at, CASE WHEN m.ts < t.at THEN t.mid + 1 ELSE t.lo END, CASE WHEN m.ts < t.at THEN t.hi ELSE t.mid END
    FROM (SELECT *, (lo + hi) / 2 AS mid FROM s WHERE lo < hi) AS t
    JOIN archive AS a ON a.owner = $1 AND a.seq = t.mid JOIN messages AS m ON m.id = a.message)`

const AT: Statement = {
  name: 'archive-seqs-at',
  text: `WITH RECURSIVE
  w AS (SELECT w.i, to_timestamp(w.ms / 1000.0) AS at FROM unnest($2::bigint[]) WITH ORDINALITY AS w(ms, i)),${HALVING}
  SELECT lo AS seq FROM s WHERE lo = hi ORDER BY i`,
}

/** Between the first row of the message's own instant and the first one behind it: a batch at most. */
const OF_IDS: Statement = {
  name: 'archive-seqs-of-ids',
  text: `WITH RECURSIVE
  k AS MATERIALIZED (
    SELECT m.id, m.ts, row_number() OVER () AS n FROM messages AS m
    WHERE m.id = ANY ($2::uuid[]) AND (m.sender = $1 OR m.receiver = $1)),
  w AS (SELECT 2 * n AS i, ts AS at FROM k UNION ALL SELECT 2 * n + 1, ts + interval '1 microsecond' FROM k),${HALVING},
  r AS MATERIALIZED (
    SELECT k.id, min(s.lo) AS lo, max(s.lo) AS hi FROM s JOIN k ON k.n = s.i / 2 WHERE s.lo = s.hi GROUP BY k.id)
  SELECT r.id, a.seq FROM r JOIN archive AS a ON a.owner = $1 AND a.seq >= r.lo AND a.seq < r.hi AND a.message = r.id`,
}

/** Parameters that a range always has, in this order: owner, after, before, then peer, resource and seqs if they are asked for. */
function toCondition({ peer, resource, seqs }: ArchiveRange): string {
  let next = 4
  const parts = ['a.owner = $1 AND a.seq > $2 AND a.seq < $3']
  if (peer !== null) parts.push(`a.peer = $${next++}`)
  if (peer !== null && resource !== null) {
    parts.push(`CASE WHEN m.sender = $4 THEN m.device ELSE m.to_resource END = $${next++}`)
  }
  if (seqs !== null) parts.push(`a.seq = ANY ($${next++}::bigint[])`)
  return parts.join(' AND ')
}

function toValues(owner: number, { after, before, peer, resource, seqs }: ArchiveRange): unknown[] {
  return [
    owner,
    after,
    before,
    ...(peer === null ? [] : [peer, ...(resource === null ? [] : [resource])]),
    ...(seqs === null ? [] : [seqs]),
  ]
}

/** Names a statement by its shape: each is prepared once. */
function shapeOf({ peer, resource, seqs }: ArchiveRange): string {
  return `${peer === null ? '' : resource === null ? '-peer' : '-resource'}${seqs === null ? '' : '-seqs'}`
}

/** The rows that fit, one at least, each with how many there were. */
function pageOf(query: ArchivePageQuery): Statement {
  const order = query.order === 'oldest' ? 'ASC' : 'DESC'
  const next = toValues(0, query).length + 1
  return {
    name: `archive-page-${query.order}${shapeOf(query)}`,
    text: `SELECT * FROM (
      SELECT p.*, sum(octet_length(p.body)) OVER (ORDER BY p.seq ${order}) AS bytes, row_number() OVER (ORDER BY p.seq ${order}) AS n,
        count(*) OVER () AS found
      FROM (SELECT ${ROW_COLUMNS} FROM ${ROW_TABLES} WHERE ${toCondition(query)}
            ORDER BY a.seq ${order} OFFSET $${next} LIMIT $${next + 1}) AS p) AS q
    WHERE q.bytes <= $${next + 2} OR q.n = 1 ORDER BY q.seq ${order}`,
  }
}

function countOf(range: ArchiveRange): Statement {
  return {
    name: `archive-count${shapeOf(range)}`,
    text: `SELECT count(*) AS count FROM archive AS a JOIN messages AS m ON m.id = a.message WHERE ${toCondition(range)}`,
  }
}

export function createArchiveQueryStore(db: Connection): ArchiveQueryStore {
  return {
    async seqsOf(owner, ids) {
      const rows = await db.query<{ id: string; seq: number }>(OF_IDS, [owner, ids])
      return new Map(rows.map(({ id, seq }) => [id, seq]))
    },
    async seqsAt(owner, instants) {
      const rows = await db.query<{ seq: number }>(AT, [owner, instants])
      return rows.map(({ seq }) => seq)
    },
    async page(owner, query) {
      const values = [...toValues(owner, query), query.skip, query.limit + 1, query.maxBytes]
      const rows = await db.query<Row & Readonly<{ found: number }>>(pageOf(query), values)
      const shown = rows.slice(0, query.limit)
      return { rows: shown.map(toRow), hasMore: (rows[0]?.found ?? 0) > shown.length }
    },
    async count(owner, range) {
      const [row] = await db.query<{ count: number }>(countOf(range), toValues(owner, range))
      return row?.count ?? 0
    },
  }
}

function toRow(row: Row): ArchiveRow {
  const { owner, seq, id, ts, kind, sender, sender_name, receiver, receiver_name, device, to_resource, oid, xid } = row
  const { format, body } = row
  const same = { owner, seq, id, ts, kind, sender, sender_name, receiver, receiver_name, device, to_resource, oid, xid }
  return toArchiveRow({ ...same, format, body })
}
