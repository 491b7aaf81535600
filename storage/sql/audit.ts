// The audit trail.
import type { AuditRow, AuditStore, StoredAuditRow } from '../../broker/stores.ts'
import type { Connection, Statement } from '../postgres.ts'

const APPEND: Statement = {
  name: 'audit-append',
  text: `INSERT INTO audit (id, at, action, border, account, name, address, target, detail)
  SELECT id, to_timestamp(at / 1000.0), action, border, account, name, address, target, detail
  FROM unnest($1::uuid[], $2::bigint[], $3::text[], $4::text[], $5::bigint[], $6::text[], $7::text[], $8::text[], $9::jsonb[])
    WITH ORDINALITY AS r(id, at, action, border, account, name, address, target, detail, i)
  ORDER BY i ON CONFLICT (id) DO NOTHING`,
}

const COLUMNS = `n, id, floor(extract(epoch FROM at) * 1000)::bigint AS at, action, border, account, name, address, target, detail`

const READ: Statement = {
  name: 'audit-read',
  text: `SELECT ${COLUMNS} FROM audit WHERE n < coalesce($1::bigint, 9223372036854775807) ORDER BY n DESC LIMIT $2`,
}
const READ_ACTION: Statement = {
  name: 'audit-read-action',
  text: `SELECT ${COLUMNS} FROM audit WHERE action = $3 AND n < coalesce($1::bigint, 9223372036854775807)
    AND ($4::text IS NULL OR name = $4) ORDER BY n DESC LIMIT $2`,
}
const READ_NAME: Statement = {
  name: 'audit-read-name',
  text: `SELECT ${COLUMNS} FROM audit WHERE text_key(name) = text_key($3) AND n < coalesce($1::bigint, 9223372036854775807)
    ORDER BY n DESC LIMIT $2`,
}

const PRUNE: Statement = { name: 'audit-prune', text: 'DELETE FROM audit WHERE at < to_timestamp($1::bigint / 1000.0)' }

export function createAuditStore(db: Connection): AuditStore {
  return {
    async append(rows) {
      if (rows.length > 0) await db.query(APPEND, columns(rows))
    },
    read({ before, limit, action, name }) {
      if (action !== null) return db.query<StoredAuditRow>(READ_ACTION, [before, limit, action, name])
      if (name !== null) return db.query<StoredAuditRow>(READ_NAME, [before, limit, name])
      return db.query<StoredAuditRow>(READ, [before, limit])
    },
    async prune(before) {
      await db.query(PRUNE, [before])
    },
  }
}

function columns(rows: readonly AuditRow[]): readonly unknown[][] {
  return [
    rows.map((row) => row.id),
    rows.map((row) => row.at),
    rows.map((row) => row.action),
    rows.map((row) => row.border),
    rows.map((row) => row.account),
    rows.map((row) => row.name),
    rows.map((row) => row.address),
    rows.map((row) => row.target),
    rows.map((row) => JSON.stringify(row.detail)),
  ]
}
