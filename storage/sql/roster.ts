// Contacts: both ends of a subscription change in one transaction, under the locks of both rosters.
import type { RosterChanged, RosterEnd, RosterItem, RosterPair, RosterStore } from '../../broker/stores.ts'
import type { Connection, Database, Statement } from '../postgres.ts'

const COLUMNS = 'owner, address, contact, name, groups, subscription, ask, request, approved, listed'

const ITEMS: Statement = {
  name: 'roster-items',
  text: `SELECT r.version, i.address, i.contact, i.name, i.groups, i.subscription, i.ask, i.request, i.approved, i.listed
  FROM rosters AS r LEFT JOIN roster_items AS i ON i.owner = r.owner WHERE r.owner = $1 ORDER BY i.address`,
}

/** In order of owner, so that two changes never wait for each other in a circle. */
const LOCK: Statement = {
  name: 'roster-lock',
  text: `INSERT INTO rosters AS r (owner) SELECT o FROM unnest($1::bigint[]) AS o ORDER BY o
  ON CONFLICT (owner) DO UPDATE SET version = r.version RETURNING owner, version`,
}

const ITEM: Statement = {
  name: 'roster-item',
  text: `SELECT ${COLUMNS} FROM roster_items WHERE owner = $1 AND address = $2`,
}

const WRITE: Statement = {
  name: 'roster-write',
  text: `INSERT INTO roster_items (${COLUMNS}) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
  ON CONFLICT (owner, address) DO UPDATE SET
    (contact, name, groups, subscription, ask, request, approved, listed) = (excluded.contact, excluded.name, excluded.groups,
      excluded.subscription, excluded.ask, excluded.request, excluded.approved, excluded.listed)`,
}

const REMOVE: Statement = {
  name: 'roster-remove',
  text: 'DELETE FROM roster_items WHERE owner = $1 AND address = $2',
}

const ADVANCE: Statement = {
  name: 'roster-advance',
  text: 'UPDATE rosters SET version = version + 1 WHERE owner = $1 RETURNING version',
}

type Row = RosterItem & Readonly<{ owner: number }>

export function createRosterStore(db: Pick<Database, 'query' | 'transaction'>): RosterStore {
  return {
    async read(owner) {
      const rows = await db.query<RosterItem & { version: number }>(ITEMS, [owner])
      const items = rows.filter(({ address }) => address !== null).map(({ version: _, ...item }) => item)
      return { version: rows[0]?.version ?? 0, items }
    },
    change: (own, theirs, decide) => db.transaction((connection) => change(connection, own, theirs, decide)),
  }
}

async function change(
  connection: Connection,
  own: RosterEnd,
  theirs: RosterEnd | null,
  decide: (pair: RosterPair) => RosterPair,
): Promise<RosterChanged> {
  const owners = theirs === null ? [own.owner] : [own.owner, theirs.owner]
  const locked = await connection.query<{ owner: number; version: number }>(LOCK, [owners])
  const versions = new Map(locked.map(({ owner, version }) => [owner, version]))
  const before = { own: await item(connection, own), theirs: theirs && (await item(connection, theirs)) }
  const after = decide(before)
  const pairs = [
    [own, before.own, after.own],
    [theirs, before.theirs, after.theirs],
  ] as const
  for (const [end, was, is] of pairs) {
    if (end === null || was === is) continue
    versions.set(end.owner, await write(connection, end, is))
  }
  const version = (end: RosterEnd | null) => (end === null ? 0 : (versions.get(end.owner) ?? 0))
  return { before, after, versions: { own: version(own), theirs: version(theirs) } }
}

async function item(connection: Connection, { owner, address }: RosterEnd): Promise<RosterItem | null> {
  const [row] = await connection.query<Row>(ITEM, [owner, address])
  if (row === undefined) return null
  const { owner: _, ...found } = row
  return found
}

/** Answers the new version of the roster. */
async function write(connection: Connection, { owner, address }: RosterEnd, is: RosterItem | null): Promise<number> {
  if (is === null) await connection.query(REMOVE, [owner, address])
  else {
    const { contact, name, groups, subscription, ask, request, approved, listed } = is
    const states = [subscription, ask, request, approved, listed]
    await connection.query(WRITE, [owner, address, contact, name, groups, ...states])
  }
  const [row] = await connection.query<{ version: number }>(ADVANCE, [owner])
  return row?.version ?? 0
}
