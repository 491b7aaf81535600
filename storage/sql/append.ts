// The append of one batch of chat messages: one statement, one transaction (DESIGN §5).
// Hot path: measured by the batches of 10, 100 and 1000 in docs/decisions/0003-one-sql-dialect.md.

import { DatabaseError } from 'pg'
import { BrokerError } from '../../broker/errors.ts'
import { type Appended, type Appending, TransientStoreError } from '../../broker/stores.ts'
import { bigintArray, booleanArray, byteaArray, textArray, uuidArray } from '../binary-array.ts'
import { type Connection, type Statement, sqlState } from '../postgres.ts'

/*
 * e  the batch, in order of arrival
 * q  claims the keys that may not come with other content, for their first content, in sorted order; a writer that
 *    commits meanwhile is waited for and seen
 * r  the batch with those refused whose key was claimed for, or used with, other content (a key that is used without a
 *    claim at this very moment is not seen yet). What is a repeat itself is none of them
 * k  claims key and content in sorted order; a repeat gets the first id back, also from a writer that commits meanwhile
 * f  each with its first id: its own, unless it is a repeat
 * p  one row per owner and new message; a message to oneself has one
 * o  locks the owners in order of id, and so after all keys: no two batches wait for each other. Under READ COMMITTED
 *    a lock that was waited for answers the row as its last holder left it, and u updates that version
 * t  the clock, read under the locks, never before any of these owners' last message. Null, and so refused, when an
 *    owner does not exist
 */
const APPEND: Statement = {
  name: 'archive-append',
  text: `WITH
  e AS MATERIALIZED (
    SELECT e.*, sha256(convert_to(e.oid, 'UTF8')) AS chosen, sha256(convert_to(e.oid, 'UTF8') || hash) AS key
    FROM unnest($1::uuid[], $2::text[], $3::bigint[], $4::bigint[], $5::text[], $6::text[], $7::text[], $8::bytea[],
                $9::text[], $10::text[], $11::text[], $12::text[], $13::text[], $14::bigint[], $15::boolean[]) WITH ORDINALITY
      AS e(id, kind, sender, receiver, device, to_resource, oid, hash, xid, ref, format, body, text, ttl, strict, n)),
  q AS (
    INSERT INTO oid_claims AS w (sender, oid, key, at)
    SELECT DISTINCT ON (sender, chosen) sender, chosen, key, now() FROM e WHERE strict AND key IS NOT NULL
    ORDER BY sender, chosen, n
    ON CONFLICT (sender, oid) DO UPDATE
      SET key = CASE WHEN w.at < now() - interval '7 days' THEN excluded.key ELSE w.key END,
          at = CASE WHEN w.at < now() - interval '7 days' THEN excluded.at ELSE w.at END
    RETURNING w.sender, w.oid, w.key),
  r AS MATERIALIZED (
    SELECT e.*, q.key IS NOT NULL AND e.strict AND u.same IS NOT TRUE AND (q.key <> e.key OR u.other) AS refused
    FROM e LEFT JOIN q ON q.sender = e.sender AND q.oid = e.chosen
    CROSS JOIN LATERAL (SELECT bool_or(w.key = e.key) AS same, coalesce(bool_or(w.key <> e.key), false) AS other
                        FROM oids AS w WHERE q.key IS NOT NULL AND w.sender = e.sender AND w.oid = e.chosen
                          AND w.at >= now() - interval '7 days') AS u),
  k AS (
    INSERT INTO oids AS w (sender, oid, key, message, at)
    SELECT DISTINCT ON (sender, chosen, key) sender, chosen, key, id, now() FROM r WHERE key IS NOT NULL AND NOT refused
    ORDER BY sender, chosen, key, n
    ON CONFLICT (sender, oid, key) DO UPDATE
      SET message = CASE WHEN w.at < now() - interval '7 days' THEN excluded.message ELSE w.message END,
          at = CASE WHEN w.at < now() - interval '7 days' THEN excluded.at ELSE w.at END
    RETURNING w.sender, w.key, w.message),
  f AS MATERIALIZED (
    SELECT r.*, CASE WHEN NOT refused THEN coalesce(k.message, r.id) END AS first FROM r LEFT JOIN k USING (sender, key)),
  p AS MATERIALIZED (
    SELECT x.*, row_number() OVER (PARTITION BY owner ORDER BY n) AS rank
    FROM (SELECT sender AS owner, receiver AS peer, id, n FROM f WHERE first = id
          UNION ALL
          SELECT receiver, sender, id, n FROM f WHERE first = id AND receiver <> sender) AS x),
  c AS MATERIALIZED (SELECT owner, count(*) AS n FROM p GROUP BY owner),
  o AS MATERIALIZED (
    SELECT w.id, w.seq, w.last_at FROM owners AS w WHERE w.id = ANY (ARRAY(SELECT owner FROM c)) ORDER BY w.id
    FOR NO KEY UPDATE),
  t AS MATERIALIZED (
    SELECT CASE WHEN count(*) = (SELECT count(*) FROM c)
      THEN greatest(date_trunc('milliseconds', clock_timestamp()), max(last_at)) END AS ts FROM o),
  u AS (
    UPDATE owners AS w SET seq = o.seq + c.n, last_at = t.ts FROM o JOIN c ON c.owner = o.id CROSS JOIN t WHERE w.id = o.id),
  m AS (
    INSERT INTO messages (id, ts, kind, sender, receiver, device, to_resource, oid, xid, ref, format, body, text, ttl)
    SELECT id, ts, kind, sender, receiver, device, to_resource, oid, xid, ref, format, body, text, ttl
    FROM f CROSS JOIN t WHERE first = id ORDER BY n),
  a AS (
    INSERT INTO archive (owner, seq, peer, message)
    SELECT p.owner, o.seq + p.rank, p.peer, p.id FROM p JOIN o ON o.id = p.owner ORDER BY p.owner, p.rank)
  SELECT f.n, f.first, floor(extract(epoch FROM t.ts) * 1000)::bigint AS ts, p.owner, o.seq + p.rank AS seq
  FROM f CROSS JOIN t LEFT JOIN (p JOIN o ON o.id = p.owner) ON p.id = f.id`,
}

/** Recent ones only, so the search from the newest end of the conversation is short. */
const STORED: Statement = {
  name: 'archive-stored',
  text: `SELECT m.id, floor(extract(epoch FROM m.ts) * 1000)::bigint AS ts, a.owner, a.seq
  FROM messages AS m
  CROSS JOIN LATERAL (VALUES (m.sender, m.receiver), (m.receiver, m.sender)) AS x(owner, peer)
  CROSS JOIN LATERAL (SELECT owner, seq FROM archive WHERE owner = x.owner AND peer = x.peer AND message = m.id
                      ORDER BY seq DESC LIMIT 1) AS a
  WHERE m.id = ANY ($1::uuid[])`,
}

const TIMES: Statement = {
  name: 'archive-times',
  text: `SELECT id, floor(extract(epoch FROM ts) * 1000)::bigint AS ts FROM messages WHERE id = ANY ($1::uuid[])`,
}

type Position = Readonly<{ owner: number; seq: number }>
/** `first` null: the key was used with other content. */
type AppendRow = Readonly<{ n: number; first: string | null; ts: number; owner: number | null; seq: number | null }>
type Outcome = Appended | Error

/** One Appended or Error per message, in the batch's order. @throws TransientStoreError */
export async function appendBatch(db: Connection, batch: readonly Appending[]): Promise<readonly Outcome[]> {
  if (batch.length === 0) return []
  try {
    return await appendAll(db, batch)
  } catch (error) {
    if (error instanceof TransientStoreError) throw error
    const stored = sqlState(error) === '23505' ? await readStored(db, batch) : new Map<string, Appended>()
    if (stored.size > 0) return appendRest(db, batch, stored)
    if (batch.length === 1) return [refusalOf(error)]
    const middle = batch.length >> 1
    const before = await appendBatch(db, batch.slice(0, middle))
    return [...before, ...(await appendBatch(db, batch.slice(middle)))]
  }
}

/** The time is null when an owner is not there: one of the two accounts was deleted a moment ago. */
function hasNoOwner(error: unknown): boolean {
  return error instanceof DatabaseError && error.code === '23502' && error.column === 'ts'
}

/** Only what the data itself is to blame for (classes 22 and 23) is refused: a refusal may be an acknowledgement (DESIGN §2). */
function refusalOf(error: unknown): Error {
  if (hasNoOwner(error)) return new BrokerError('refused')
  if (/^2[23]/.test(sqlState(error) ?? '')) {
    return new BrokerError('bad-payload', 'The message cannot be stored.', { cause: error })
  }
  return error instanceof Error ? error : new Error(String(error))
}

async function appendAll(db: Connection, batch: readonly Appending[]): Promise<readonly Outcome[]> {
  const rows = await db.query<AppendRow>(APPEND, columns(batch))
  const outcomes = batch.map(({ id }) => ({ id, ts: 0, positions: [] as Position[] }))
  const refused = new Set<number>()
  for (const { n, first, ts, owner, seq } of rows) {
    const outcome = outcomes[n - 1]
    if (first === null) refused.add(n - 1)
    if (outcome === undefined || first === null) continue
    outcome.id = first
    outcome.ts = ts
    if (owner !== null && seq !== null) outcome.positions.push({ owner, seq })
  }
  const appended = outcomes.map((outcome, i) => ({
    ...outcome,
    repeated: outcome.positions.length === 0 && !refused.has(i),
  }))
  const timed = appended.some((outcome) => outcome.repeated) ? await withFirstTimes(db, appended) : appended
  return refused.size === 0
    ? timed
    : timed.map((outcome, i) => (refused.has(i) ? new BrokerError('key-reused') : outcome))
}

/** A repeat has the time of the first one, which may have been committed after our statement began. */
async function withFirstTimes(db: Connection, appended: readonly Appended[]): Promise<readonly Appended[]> {
  const ids = appended.filter((outcome) => outcome.repeated).map((outcome) => outcome.id)
  const rows = await db.query<{ id: string; ts: number }>(TIMES, [ids])
  const times = new Map(rows.map((row) => [row.id, row.ts]))
  return appended.map((outcome) => ({ ...outcome, ts: times.get(outcome.id) ?? outcome.ts }))
}

/** What an earlier try, whose outcome was unknown, has committed. */
async function readStored(db: Connection, batch: readonly Appending[]): Promise<Map<string, Appended>> {
  const rows = await db.query<{ id: string; ts: number } & Position>(STORED, [batch.map((message) => message.id)])
  const stored = new Map<string, Appended>()
  for (const { id, ts, owner, seq } of rows) {
    const positions = (stored.get(id)?.positions ?? []).filter((known) => known.owner !== owner)
    stored.set(id, { id, ts, repeated: false, positions: [...positions, { owner, seq }] })
  }
  return stored
}

async function appendRest(
  db: Connection,
  batch: readonly Appending[],
  stored: ReadonlyMap<string, Appended>,
): Promise<readonly Outcome[]> {
  const missing = batch.filter((message) => !stored.has(message.id))
  const rest = (await appendBatch(db, missing)).values()
  return batch.map((message) => stored.get(message.id) ?? rest.next().value ?? new Error('A message was left out.'))
}

function columns(batch: readonly Appending[]): readonly Buffer[] {
  return [
    uuidArray(batch.map((message) => message.id)),
    textArray(batch.map((message) => message.kind)),
    bigintArray(batch.map((message) => message.sender)),
    bigintArray(batch.map((message) => message.receiver)),
    textArray(batch.map((message) => message.device)),
    textArray(batch.map((message) => message.toResource)),
    textArray(batch.map((message) => message.oid)),
    byteaArray(batch.map((message) => message.hash)),
    textArray(batch.map((message) => message.xid)),
    textArray(batch.map((message) => message.ref)),
    textArray(batch.map((message) => message.body.format)),
    textArray(batch.map((message) => message.body.text)),
    textArray(batch.map((message) => message.text)),
    bigintArray(batch.map((message) => message.ttl)),
    booleanArray(batch.map((message) => message.strictOid === true)),
  ]
}
