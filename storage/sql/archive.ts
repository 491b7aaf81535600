// The log as its readers see it: by owner and seq.
import type { ArchiveRow, ArchiveStore } from '../../broker/stores.ts'
import type { Body, Kind } from '../../broker/types.ts'
import type { Connection, Statement } from '../postgres.ts'
import { appendBatch } from './append.ts'

export const ROW_COLUMNS = `a.owner, a.seq, m.id, floor(extract(epoch FROM m.ts) * 1000)::bigint AS ts, m.kind, m.sender,
    coalesce(s.name, '') AS sender_name, m.receiver, coalesce(r.name, '') AS receiver_name, m.device, m.to_resource,
    m.oid, m.xid, m.format, m.body`

export const ROW_TABLES = `archive AS a JOIN messages AS m ON m.id = a.message
  LEFT JOIN accounts AS s ON s.id = m.sender LEFT JOIN accounts AS r ON r.id = m.receiver`

const READ: Statement = {
  name: 'archive-read',
  text: `SELECT ${ROW_COLUMNS} FROM ${ROW_TABLES} WHERE a.owner = $1 AND a.seq > $2 ORDER BY a.seq LIMIT $3`,
}

const HEAD: Statement = { name: 'archive-head', text: 'SELECT seq FROM owners WHERE id = $1' }

/** The first received one that is too many, seen from the newest; else where the account stands. */
const BACKLOG_START: Statement = {
  name: 'archive-backlog-start',
  text: `SELECT coalesce(
    (SELECT a.seq FROM archive AS a JOIN messages AS m ON m.id = a.message
     WHERE a.owner = o.id AND a.seq > o.delivered_seq AND m.receiver = o.id AND m.kind IN ('message', 'invite')
     ORDER BY a.seq DESC OFFSET $2 LIMIT 1),
    o.delivered_seq) AS start
  FROM owners AS o WHERE o.id = $1`,
}

/**
 * Locks in order of id, as appends do. A device that began behind `since` proves nothing while the account has received
 * something before that nobody has taken.
 */
const SAVE_POSITIONS: Statement = {
  name: 'archive-save-positions',
  text: `WITH
  v AS MATERIALIZED (SELECT * FROM unnest($1::bigint[], $2::bigint[], $3::bigint[]) AS v(owner, since, seq)),
  o AS MATERIALIZED (
    SELECT id, delivered_seq FROM owners WHERE id = ANY (ARRAY(SELECT owner FROM v)) ORDER BY id FOR NO KEY UPDATE),
  n AS (
    SELECT o.id, max(v.seq) AS seq FROM o JOIN v ON v.owner = o.id
    WHERE v.since <= o.delivered_seq OR NOT EXISTS (
      SELECT FROM archive AS a JOIN messages AS m ON m.id = a.message
      WHERE a.owner = o.id AND a.seq > o.delivered_seq AND a.seq <= v.since
        AND m.receiver = o.id AND m.kind IN ('message', 'invite'))
    GROUP BY o.id)
  UPDATE owners AS w SET delivered_seq = n.seq FROM n WHERE w.id = n.id AND w.delivered_seq < n.seq`,
}

export type Row = Readonly<{
  owner: number
  seq: number
  id: string
  ts: number
  kind: Kind
  sender: number
  sender_name: string
  receiver: number
  receiver_name: string
  device: string | null
  to_resource: string | null
  oid: string | null
  xid: string | null
  format: Body['format']
  body: string
}>

/** `writer` is pipelined: the next batch may be sent before the last one is committed. */
export function createArchiveStore(db: Connection, writer: Connection): ArchiveStore {
  return {
    append: (batch) => appendBatch(writer, batch),
    async read(owner, after, limit) {
      return (await db.query<Row>(READ, [owner, after, limit])).map(toArchiveRow)
    },
    async head(owner) {
      const [row] = await db.query<{ seq: number }>(HEAD, [owner])
      return row?.seq ?? 0
    },
    async backlogStart(account, limit) {
      const [row] = await db.query<{ start: number }>(BACKLOG_START, [account, limit])
      return row?.start ?? 0
    },
    async savePositions(positions) {
      if (positions.length === 0) return
      await db.query(SAVE_POSITIONS, [
        positions.map(({ owner }) => owner),
        positions.map(({ since }) => since),
        positions.map(({ seq }) => seq),
      ])
    },
  }
}

export function toArchiveRow(row: Row): ArchiveRow {
  const { sender_name, receiver_name, to_resource, format, body, ...same } = row
  return {
    ...same,
    senderName: sender_name,
    receiverName: receiver_name,
    toResource: to_resource,
    body: { format, text: body },
  }
}
