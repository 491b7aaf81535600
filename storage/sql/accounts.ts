// Accounts and their SCRAM verifiers. Whoever writes here records a numbered change: other processes hold accounts in memory.
import type { Account, AccountStore, ListedAccount } from '../../broker/stores.ts'
import type { Role, Verifier } from '../../broker/types.ts'
import type { Connection, Statement } from '../postgres.ts'

const COLUMNS = 'id, name, role, plain_topics, scram_sha_1, scram_sha_256, credential_version'

/** Appended to a statement whose first part `a` answers the account that changed. */
const RECORD = `
  s AS (UPDATE subjects SET last = last + 1 WHERE name = 'accounts' AND EXISTS (SELECT FROM a) RETURNING last),
  c AS (INSERT INTO changes (subject, n, detail)
        SELECT 'accounts', s.last, jsonb_build_object('account', a.id, 'what', $1::text) FROM a, s)
  SELECT * FROM a`

const CREATE: Statement = {
  name: 'accounts-create',
  text: `WITH
  a AS (INSERT INTO accounts (id, name, role, plain_topics, scram_sha_1, scram_sha_256)
        VALUES (nextval('owner_ids'), $2, $3, $4, $5, $6) ON CONFLICT (name) DO NOTHING RETURNING ${COLUMNS}),
  o AS (INSERT INTO owners (id) SELECT id FROM a),${RECORD}`,
}

const SET_VERIFIERS: Statement = {
  name: 'accounts-set-verifiers',
  text: `WITH
  a AS (UPDATE accounts SET scram_sha_1 = $3, scram_sha_256 = $4, credential_version = credential_version + 1
        WHERE name = $2 AND deleted_at IS NULL RETURNING ${COLUMNS}),${RECORD}`,
}

const LIVE = `SELECT ${COLUMNS} FROM accounts WHERE deleted_at IS NULL`
const BY_NAME: Statement = { name: 'accounts-by-name', text: `${LIVE} AND name = $1` }
const BY_ID: Statement = { name: 'accounts-by-id', text: `${LIVE} AND id = $1` }

const ID_OF: Statement = { name: 'accounts-id-of', text: 'SELECT id FROM accounts WHERE name = $1' }

const LIST: Statement = {
  name: 'accounts-list',
  text: `SELECT name, role, plain_topics AS "plainTopics", floor(extract(epoch FROM created_at) * 1000)::bigint AS "createdAt"
  FROM accounts WHERE deleted_at IS NULL AND name > $1 ORDER BY name LIMIT $2`,
}

type Row = Readonly<{
  id: number
  name: string
  role: Role
  plain_topics: 'all' | 'none'
  scram_sha_1: string
  scram_sha_256: string
  credential_version: number
}>

export function createAccountStore(db: Connection, removal: Pick<AccountStore, 'bury' | 'remove'>): AccountStore {
  async function one(statement: Statement, values: readonly unknown[]): Promise<Account | null> {
    const [row] = await db.query<Row>(statement, values)
    return row === undefined ? null : toAccount(row)
  }
  return {
    create: ({ name, role, plainTopics, verifiers }) =>
      one(CREATE, [
        'created',
        name,
        role,
        plainTopics,
        toText(verifiers['SCRAM-SHA-1']),
        toText(verifiers['SCRAM-SHA-256']),
      ]),
    byName: (name) => one(BY_NAME, [name]),
    byId: (id) => one(BY_ID, [id]),
    async idOf(name) {
      const [row] = await db.query<{ id: number }>(ID_OF, [name])
      return row?.id ?? null
    },
    setVerifiers: (name, verifiers) =>
      one(SET_VERIFIERS, ['password', name, toText(verifiers['SCRAM-SHA-1']), toText(verifiers['SCRAM-SHA-256'])]),
    list: (after, limit) => db.query<ListedAccount>(LIST, [after, limit]),
    bury: removal.bury,
    remove: removal.remove,
  }
}

function toAccount(row: Row): Account {
  return {
    id: row.id,
    name: row.name,
    role: row.role,
    plainTopics: row.plain_topics,
    verifiers: { 'SCRAM-SHA-1': toVerifier(row.scram_sha_1), 'SCRAM-SHA-256': toVerifier(row.scram_sha_256) },
    credentialVersion: row.credential_version,
  }
}

// RFC 5803 §3: iterations:salt$StoredKey:ServerKey
function toText({ iterations, salt, storedKey, serverKey }: Verifier): string {
  const [s, k, v] = [salt, storedKey, serverKey].map((bytes) => bytes.toString('base64'))
  return `${iterations}:${s}$${k}:${v}`
}

function toVerifier(text: string): Verifier {
  const [iterations, salt = '', storedKey = '', serverKey = ''] = text.split(/[:$]/)
  return {
    iterations: Number(iterations),
    salt: Buffer.from(salt, 'base64'),
    storedKey: Buffer.from(storedKey, 'base64'),
    serverKey: Buffer.from(serverKey, 'base64'),
  }
}
