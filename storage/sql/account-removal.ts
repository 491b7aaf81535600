// The end of an account: a tombstone at once, then what it had, in steps.
import type { AccountStore, Buried, FormerContact } from '../../broker/stores.ts'
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
        WHERE id = $1 AND deleted_at IS NULL RETURNING id, name),
  s AS (UPDATE subjects SET last = last + 1 WHERE name = 'accounts' AND EXISTS (SELECT FROM a) RETURNING last),
  c AS (INSERT INTO changes (subject, n, detail)
        SELECT 'accounts', s.last, jsonb_build_object('account', a.id, 'what', 'deleted', 'name', a.name, 'contacts', $2::jsonb)
        FROM a, s)
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

/** To its contacts it is an address without account, as any that was never one. Answers how they had it. */
const LEAVE_CONTACTS: Statement = {
  name: 'account-removal-contacts',
  text: `WITH
  was AS MATERIALIZED (
    SELECT owner, address, subscription FROM roster_items WHERE contact = $1 AND listed),
  u AS (
    UPDATE roster_items AS i
    SET contact = NULL, subscription = 'none', ask = false, request = NULL, approved = false
    FROM was WHERE i.owner = was.owner AND i.address = was.address)
  SELECT was.owner AS id, a.name, was.subscription FROM was JOIN accounts AS a ON a.id = was.owner`,
}

const END_ROSTER: readonly Statement[] = [
  { name: 'account-removal-requests', text: 'DELETE FROM roster_items WHERE contact = $1 OR owner = $1' },
  { name: 'account-removal-roster', text: 'DELETE FROM rosters WHERE owner = $1' },
]

const END_LOGINS: Statement = {
  name: 'account-removal-logins',
  text: 'DELETE FROM login_sessions WHERE account = $1',
}

/** Sessions in order of id, then what hangs on them: as whoever else writes several locks them. */
const LOCK_SESSIONS: Statement = {
  name: 'account-removal-lock-sessions',
  text: 'SELECT id FROM sessions WHERE account = $1 ORDER BY id FOR UPDATE',
}

const END_SUBSCRIPTIONS: Statement = {
  name: 'account-removal-subscriptions',
  text: 'DELETE FROM subscriptions WHERE session = ANY ($1::bigint[])',
}

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

/** Tombstones that an interrupted removal has left something of. */
const UNFINISHED: Statement = {
  name: 'account-removal-unfinished',
  text: `SELECT id FROM accounts AS a
  WHERE deleted_at < now() - interval '1 hour' AND EXISTS (SELECT FROM archive WHERE owner = a.id)`,
}

export type AccountRemoval = Pick<AccountStore, 'bury' | 'remove'> &
  Readonly<{
    /** Takes up removals that were interrupted. */
    finish(): Promise<void>
  }>

export function createAccountRemoval(db: Database, queues: QueueRemoval): AccountRemoval {
  async function bury(name: string): Promise<Buried | null> {
    const [found] = await db.query<{ id: number }>(FIND, [name])
    if (found === undefined) return null
    const { id } = found
    const { wasThere, sessions } = await db.transaction((connection) => buryIn(connection, id))
    const purge = async () => {
      if (sessions.length > 0) await queues.removeSessions(sessions)
      await purgeLog(db, id)
    }
    return { wasThere, purge }
  }

  return {
    bury,
    async remove(name) {
      const buried = await bury(name)
      await buried?.purge()
      return buried?.wasThere === true
    },
    async finish() {
      for (const { id } of await db.query<{ id: number }>(UNFINISHED, [])) await purgeLog(db, id)
    },
  }
}

async function purgeLog(db: Connection, id: number): Promise<void> {
  for (let left = 1; left > 0; ) {
    const [purged] = await db.query<{ n: number }>(PURGE, [id])
    left = purged?.n ?? 0
  }
  for (const statement of PURGE_REST) await db.query(statement, [id])
}

async function buryIn(connection: Connection, id: number) {
  await connection.query(END_LOG, [id])
  await connection.query(LOCK_ROSTERS, [id])
  const contacts = await connection.query<FormerContact>(LEAVE_CONTACTS, [id])
  for (const statement of [...END_ROSTER, END_LOGINS, LOCK_SESSIONS]) await connection.query(statement, [id])
  const sessions = (await connection.query<{ id: number }>(END_SESSIONS, [id])).map((session) => session.id)
  if (sessions.length > 0) await connection.query(END_SUBSCRIPTIONS, [sessions])
  // Last: the counter of changes is locked until commit.
  const buried = await connection.query(BURY, [id, JSON.stringify(contacts)])
  return { wasThere: buried.length > 0, sessions }
}
