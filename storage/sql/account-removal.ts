// The end of an account: a tombstone at once, then what it had, in steps.
import type { Connection, Database, Statement } from '../postgres.ts'
import type { QueueRemoval } from './queue-removal.ts'

/** A tombstone, too: what an interrupted removal has left goes with the next one. */
const FIND: Statement = { name: 'account-removal-find', text: 'SELECT id FROM accounts WHERE name = $1' }

/** First: it waits for appends that are under way, and later ones find no owner and are refused. */
const END_LOG: Statement = { name: 'account-removal-end-log', text: 'DELETE FROM owners WHERE id = $1' }

const BURY: Statement = {
  name: 'account-removal-bury',
  text: `WITH
  a AS (UPDATE accounts SET deleted_at = now(), scram_sha_1 = '', scram_sha_256 = '',
          credential_version = credential_version + 1
        WHERE id = $1 AND deleted_at IS NULL RETURNING id),
  s AS (UPDATE subjects SET last = last + 1 WHERE name = 'accounts' AND EXISTS (SELECT FROM a) RETURNING last),
  c AS (INSERT INTO changes (subject, n, detail)
        SELECT 'accounts', s.last, jsonb_build_object('account', a.id, 'what', 'deleted') FROM a, s)
  SELECT id FROM a`,
}

/** Rosters first and in order of owner, as every change of a roster locks them. */
const LOCK_ROSTERS: Statement = {
  name: 'account-removal-lock-rosters',
  text: `WITH r AS MATERIALIZED (
    SELECT owner FROM rosters
    WHERE owner = ANY (ARRAY(SELECT owner FROM roster_items WHERE contact = $1 UNION SELECT $1::bigint))
    ORDER BY owner FOR UPDATE)
  UPDATE rosters AS w SET version = version + 1 FROM r WHERE w.owner = r.owner`,
}

/** To its contacts it is an address without account, as any that was never one. */
const LEAVE_ROSTERS: readonly Statement[] = [
  {
    name: 'account-removal-contacts',
    text: `UPDATE roster_items SET contact = NULL, subscription = 'none', ask = false, request = NULL, approved = false
    WHERE contact = $1 AND listed`,
  },
  { name: 'account-removal-requests', text: 'DELETE FROM roster_items WHERE contact = $1 OR owner = $1' },
  { name: 'account-removal-roster', text: 'DELETE FROM rosters WHERE owner = $1' },
]

const END_LOGINS: readonly Statement[] = [
  { name: 'account-removal-logins', text: 'DELETE FROM login_sessions WHERE account = $1' },
  {
    name: 'account-removal-subscriptions',
    text: 'DELETE FROM subscriptions WHERE session = ANY (ARRAY(SELECT id FROM sessions WHERE account = $1))',
  },
]

const END_SESSIONS: Statement = {
  name: 'account-removal-sessions',
  text: 'DELETE FROM sessions WHERE account = $1 RETURNING id',
}

/** A message stays while the other end has it. */
const PURGE: Statement = {
  name: 'account-removal-purge',
  text: `WITH
  d AS (
    DELETE FROM archive WHERE owner = $1 AND seq <= (
      SELECT max(seq) FROM (SELECT seq FROM archive WHERE owner = $1 ORDER BY seq LIMIT 5000) AS s)
    RETURNING peer, message),
  m AS (
    DELETE FROM messages AS m USING d
    WHERE m.id = d.message AND NOT EXISTS (SELECT FROM owners AS o WHERE o.id = d.peer))
  SELECT count(*) AS n FROM d`,
}

const PURGE_REST: readonly Statement[] = [
  { name: 'account-removal-watermarks', text: 'DELETE FROM watermarks WHERE owner = $1' },
  { name: 'account-removal-oids', text: 'DELETE FROM oids WHERE sender = $1' },
  { name: 'account-removal-oid-claims', text: 'DELETE FROM oid_claims WHERE sender = $1' },
]

/** Answers whether there was such an account. May be repeated when it was interrupted. */
export function createAccountRemoval(db: Database, queues: QueueRemoval): (name: string) => Promise<boolean> {
  return async (name) => {
    const [found] = await db.query<{ id: number }>(FIND, [name])
    if (found === undefined) return false
    const { id } = found
    const { wasThere, sessions } = await db.transaction((connection) => bury(connection, id))
    if (sessions.length > 0) await queues.removeSessions(sessions)
    for (let left = 1; left > 0; ) {
      const [purged] = await db.query<{ n: number }>(PURGE, [id])
      left = purged?.n ?? 0
    }
    for (const statement of PURGE_REST) await db.query(statement, [id])
    return wasThere
  }
}

async function bury(connection: Connection, id: number) {
  await connection.query(END_LOG, [id])
  for (const statement of [LOCK_ROSTERS, ...LEAVE_ROSTERS, ...END_LOGINS]) await connection.query(statement, [id])
  const sessions = await connection.query<{ id: number }>(END_SESSIONS, [id])
  // Last: the counter of changes is locked until commit.
  const buried = await connection.query(BURY, [id])
  return { wasThere: buried.length > 0, sessions: sessions.map((session) => session.id) }
}
