// What nobody will ask for any more goes: by the hour, in steps, so that no statement takes long.
import type { Connection, Statement } from '../postgres.ts'

const STEP = 20_000

/** A process that has not looked for changes in all this time begins anew. */
const tables = [
  { name: 'prune-oids', table: 'oids', isOver: "at < now() - interval '7 days'" },
  { name: 'prune-oid-claims', table: 'oid_claims', isOver: "at < now() - interval '7 days'" },
  { name: 'prune-changes', table: 'changes', isOver: "at < now() - interval '7 days'" },
  { name: 'prune-retained', table: 'retained', isOver: 'expires_at < now()' },
] as const

const STATEMENTS: readonly Statement[] = tables.map(({ name, table, isOver }) => ({
  name,
  text: `WITH d AS (
    DELETE FROM ${table}
    WHERE ctid = ANY (ARRAY(SELECT ctid FROM ${table} WHERE ${isOver} LIMIT ${STEP})) AND ${isOver} RETURNING 1)
  SELECT count(*) AS n FROM d`,
}))

export function createPrune(db: Connection): () => Promise<void> {
  return async () => {
    for (const statement of STATEMENTS) {
      for (let gone = STEP; gone >= STEP; ) {
        const [row] = await db.query<{ n: number }>(statement, [])
        gone = row?.n ?? 0
      }
    }
  }
}
