// Logins that can be renewed: one row each, which knows the hash of the one refresh token that is good now.
import type { RefreshTokenStore, StoredLogin } from '../../broker/stores.ts'
import type { Connection, Statement } from '../postgres.ts'

const OPEN: Statement = {
  name: 'logins-open',
  text: `INSERT INTO login_sessions (id, account, credential_version, refresh_hash, expires_at)
  VALUES ($1, $2, $3, $4, now() + make_interval(secs => $5))`,
}

const LIVE = `l.id = $1 AND l.ended_at IS NULL AND l.expires_at > now()
    AND a.id = l.account AND a.credential_version = l.credential_version`
const LOGIN = 'l.id AS session, a.id AS account, a.name, a.credential_version AS "credentialVersion"'

/** Of two at once the second waits for the first and finds another hash. */
const ROTATE: Statement = {
  name: 'logins-rotate',
  text: `UPDATE login_sessions AS l SET refresh_hash = $3, expires_at = now() + make_interval(secs => $4)
  FROM accounts AS a WHERE ${LIVE} AND l.refresh_hash = $2 RETURNING ${LOGIN}`,
}

const FIND: Statement = {
  name: 'logins-find',
  text: `SELECT ${LOGIN} FROM login_sessions AS l, accounts AS a WHERE ${LIVE}`,
}

/** Records the change that tells other processes; ends a login once. */
const END: Statement = {
  name: 'logins-end',
  text: `WITH
  l AS (UPDATE login_sessions SET ended_at = now() WHERE id = $1 AND ended_at IS NULL RETURNING id, account),
  s AS (UPDATE subjects SET last = last + 1 WHERE name = 'accounts' AND EXISTS (SELECT FROM l) RETURNING last)
  INSERT INTO changes (subject, n, detail)
  SELECT 'accounts', s.last, jsonb_build_object('account', l.account, 'what', 'logout', 'session', l.id) FROM l, s`,
}

const ENDED: Statement = {
  name: 'logins-ended',
  text: 'SELECT id FROM login_sessions WHERE ended_at > now() - make_interval(secs => $1)',
}

/** A day longer than needed: clocks differ. */
const PRUNE: Statement = {
  name: 'logins-prune',
  text: `DELETE FROM login_sessions WHERE expires_at < now() - interval '1 day'`,
}

export function createRefreshTokenStore(db: Connection): RefreshTokenStore {
  const end = async (session: string): Promise<void> => {
    await db.query(END, [session])
  }
  return {
    async open({ session, account, credentialVersion }, hash, lifetimeSeconds) {
      await db.query(OPEN, [session, account, credentialVersion, hash, lifetimeSeconds])
    },
    async rotate(session, hash, nextHash, lifetimeSeconds) {
      const [rotated] = await db.query<StoredLogin>(ROTATE, [session, hash, nextHash, lifetimeSeconds])
      if (rotated) return { login: rotated, reused: false }
      const [login] = await db.query<StoredLogin>(FIND, [session])
      if (!login) return null
      await end(session)
      return { login, reused: true }
    },
    end,
    endedWithin: async (seconds) => (await db.query<{ id: string }>(ENDED, [seconds])).map(({ id }) => id),
    async prune() {
      await db.query(PRUNE, [])
    },
  }
}
