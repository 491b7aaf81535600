// Persistent sessions of MQTT and their subscriptions. Writes carry the epoch: an owner that was taken over changes nothing.
import type {
  InFlightPosition,
  SessionOpening,
  SessionState,
  SessionStore,
  StoredSession,
  StoredSubscription,
} from '../../broker/stores.ts'
import type { Qos } from '../../broker/types.ts'
import type { Database, Statement } from '../postgres.ts'
import type { QueueRemoval } from './queue-removal.ts'
import { ALL_WILLS, OPEN, REMOVE_WILLS, toWill, type WillRow, willColumns } from './wills.ts'

const ALL: Statement = {
  name: 'sessions-all',
  text: `SELECT s.id, s.epoch, s.account, coalesce(a.name, '') AS account_name, s.client_id, s.expiry_interval,
    floor(extract(epoch FROM s.disconnected_at) * 1000)::bigint AS disconnected_at, s.head, s.sent,
    s.cursor, s.in_flight, CASE WHEN s.disconnected_at IS NULL THEN greatest(s.stream_sent, o.seq) ELSE s.stream_sent END AS stream_sent,
    s.event_position,
    coalesce(q.queued, 0) AS queued, coalesce(q.bytes, 0)::bigint AS bytes, coalesce(q.tail, 0) AS tail
  FROM sessions AS s LEFT JOIN accounts AS a ON a.id = s.account LEFT JOIN owners AS o ON o.id = s.account
  LEFT JOIN (
    SELECT r.session, count(*) AS queued, sum(octet_length(b.payload)) AS bytes, max(r.position) AS tail
    FROM queue_references AS r JOIN sessions AS s ON s.id = r.session JOIN queue_bodies AS b ON b.position = r.position
    WHERE r.position > s.head GROUP BY r.session) AS q ON q.session = s.id
  ORDER BY s.id`,
}

const ALL_SUBSCRIPTIONS: Statement = {
  name: 'sessions-all-subscriptions',
  text: `SELECT session, filter, qos, no_local, retain_as_published, subscription_id, position FROM subscriptions`,
}

const ALL_RECEIVED: Statement = {
  name: 'sessions-all-received',
  text: 'SELECT session, array_agg(packet_id) AS packet_ids FROM received_packets GROUP BY session',
}

const FORGET: Statement = {
  name: 'sessions-forget',
  text: 'DELETE FROM sessions WHERE account = $1 AND text_key(client_id) = text_key($2) RETURNING id',
}

/** In order of id, as SAVE locks them; subscriptions come after their sessions everywhere. */
const REMOVE: Statement = {
  name: 'sessions-remove',
  text: `DELETE FROM sessions WHERE id = ANY (ARRAY(
    SELECT id FROM sessions WHERE id = ANY ($1::bigint[]) ORDER BY id FOR UPDATE))`,
}
const REMOVE_SUBSCRIPTIONS: Statement = {
  name: 'sessions-remove-subscriptions',
  text: 'DELETE FROM subscriptions WHERE session = ANY ($1::bigint[])',
}

const SUBSCRIBE: Statement = {
  name: 'sessions-subscribe',
  text: `WITH
  s AS MATERIALIZED (SELECT id FROM sessions WHERE id = $1 AND epoch = $2 FOR NO KEY UPDATE),
  i AS (
    INSERT INTO subscriptions AS u (session, filter, qos, no_local, retain_as_published, subscription_id, position)
    SELECT s.id, v.* FROM s CROSS JOIN
      unnest($3::text[], $4::smallint[], $5::boolean[], $6::boolean[], $7::integer[], $8::bigint[]) AS v
    ON CONFLICT (session, text_key(filter)) DO UPDATE
      SET (qos, no_local, retain_as_published, subscription_id, position) =
        (excluded.qos, excluded.no_local, excluded.retain_as_published, excluded.subscription_id, excluded.position))
  SELECT id FROM s`,
}

const UNSUBSCRIBE: Statement = {
  name: 'sessions-unsubscribe',
  text: `WITH
  s AS MATERIALIZED (SELECT id FROM sessions WHERE id = $1 AND epoch = $2 FOR NO KEY UPDATE),
  d AS (
    DELETE FROM subscriptions AS u USING s, unnest($3::text[]) AS v(filter)
    WHERE u.session = s.id AND text_key(u.filter) = text_key(v.filter))
  SELECT id FROM s`,
}

/**
 * Locks the sessions that are still ours, in order of id; heads and positions never go back. Arrays of arrays must be
 * square in SQL, so what is in flight travels as text.
 */
const SAVE: Statement = {
  name: 'sessions-save',
  text: `WITH
  v AS MATERIALIZED (
    SELECT * FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::bigint[], $5::bigint[], $6::bigint[],
                         $10::bigint[], $11::text[], $12::bigint[], $13::bigint[])
      AS v(id, epoch, head, sent, expiry_interval, disconnected_at, cursor, in_flight, stream_sent, event_position)),
  s AS MATERIALIZED (
    SELECT s.id FROM sessions AS s JOIN v ON v.id = s.id AND v.epoch = s.epoch ORDER BY s.id FOR NO KEY UPDATE OF s),
  p AS (
    UPDATE subscriptions AS u SET position = w.position
    FROM s JOIN unnest($7::bigint[], $8::text[], $9::bigint[]) AS w(session, filter, position) ON w.session = s.id
    WHERE u.session = s.id AND text_key(u.filter) = text_key(w.filter) AND u.position < w.position)
  UPDATE sessions AS w SET head = greatest(w.head, v.head), sent = greatest(w.sent, v.sent),
    stream_sent = greatest(w.stream_sent, v.stream_sent), event_position = v.event_position, cursor = v.cursor, in_flight = v.in_flight::bigint[],
    expiry_interval = v.expiry_interval, disconnected_at = to_timestamp(v.disconnected_at / 1000.0)
  FROM s JOIN v ON v.id = s.id WHERE w.id = s.id
  RETURNING w.id`,
}

type SessionRow = Omit<
  StoredSession,
  | 'accountName'
  | 'clientId'
  | 'expiryInterval'
  | 'disconnectedAt'
  | 'queuedBytes'
  | 'will'
  | 'inFlight'
  | 'streamSent'
  | 'eventPosition'
  | 'subscriptions'
  | 'received'
> &
  Readonly<{
    in_flight: readonly string[]
    stream_sent: number
    event_position: number
    account_name: string
    client_id: string
    expiry_interval: number
    disconnected_at: number | null
    bytes: number
  }>

type SubscriptionRow = Readonly<{
  session: number
  filter: string
  qos: Qos
  no_local: boolean
  retain_as_published: boolean
  subscription_id: number
  position: number | null
}>

type ReceivedRow = Readonly<{ session: number; packet_ids: readonly number[] }>

export function createSessionStore(db: Database, removal: QueueRemoval): SessionStore {
  async function fenced(statement: Statement, values: readonly unknown[]): Promise<boolean> {
    return (await db.query(statement, values)).length > 0
  }

  /** A clean one gets a new id: what is still under way to the old one cannot reach it. */
  async function openClean({ account, clientId }: SessionOpening, values: readonly unknown[]) {
    return db.transaction(async (connection) => {
      const old = (await connection.query<{ id: number }>(FORGET, [account, clientId])).map(({ id }) => id)
      if (old.length > 0) await connection.query(REMOVE_SUBSCRIPTIONS, [old])
      return { old, rows: await connection.query<{ id: number; epoch: number }>(OPEN, values) }
    })
  }

  return {
    async all() {
      await removal.sweep()
      const [sessions, subscriptions, wills, received] = await Promise.all([
        db.query<SessionRow>(ALL, []),
        db.query<SubscriptionRow>(ALL_SUBSCRIPTIONS, []),
        db.query<WillRow>(ALL_WILLS, []),
        db.query<ReceivedRow>(ALL_RECEIVED, []),
      ])
      const bySession = new Map<number, SubscriptionRow[]>(sessions.map((row) => [row.id, []]))
      for (const row of subscriptions) bySession.get(row.session)?.push(row)
      const willOf = new Map(wills.map((row) => [row.session, toWill(row)]))
      const receivedBy = new Map(received.map((row) => [row.session, row.packet_ids]))
      return sessions.map((row) => ({
        ...toSession(row, bySession.get(row.id) ?? [], willOf.get(row.id) ?? null),
        received: receivedBy.get(row.id) ?? [],
      }))
    },
    async open(opening) {
      const { account, clientId, expiryInterval, will } = opening
      const values = [account, clientId, expiryInterval, ...willColumns(will)]
      const { old, rows } = opening.clean
        ? await openClean(opening, values)
        : { old: [], rows: await db.query<{ id: number; epoch: number }>(OPEN, values) }
      if (old.length > 0) await removal.removeSessions(old)
      const [opened] = rows
      if (opened === undefined) throw new Error('The database opened no session.')
      return opened
    },
    subscribe: (id, epoch, subscriptions) => fenced(SUBSCRIBE, [id, epoch, ...subscriptionColumns(subscriptions)]),
    unsubscribe: (id, epoch, filters) => fenced(UNSUBSCRIBE, [id, epoch, filters]),
    async save(states) {
      if (states.length === 0) return []
      return (await db.query<{ id: number }>(SAVE, stateColumns(states))).map(({ id }) => id)
    },
    async removeWills(owners) {
      if (owners.length > 0)
        await db.query(REMOVE_WILLS, [owners.map(({ id }) => id), owners.map(({ epoch }) => epoch)])
    },
    async remove(ids) {
      if (ids.length === 0) return
      await db.transaction(async (connection) => {
        await connection.query(REMOVE, [ids])
        await connection.query(REMOVE_SUBSCRIPTIONS, [ids])
      })
      await removal.removeSessions(ids)
    },
  }
}

function subscriptionColumns(subscriptions: readonly StoredSubscription[]): readonly unknown[][] {
  // A filter that is named twice in one packet: the last one counts.
  const rows = [...new Map(subscriptions.map((subscription) => [subscription.filter, subscription])).values()]
  return [
    rows.map((row) => row.filter),
    rows.map((row) => row.qos),
    rows.map((row) => row.noLocal),
    rows.map((row) => row.retainAsPublished),
    rows.map((row) => row.subscriptionId),
    rows.map((row) => row.position),
  ]
}

function stateColumns(states: readonly SessionState[]): readonly unknown[][] {
  const positions = states.flatMap(({ id, positions }) =>
    Array.from(positions, ([filter, position]) => ({ id, filter, position })),
  )
  return [
    states.map((state) => state.id),
    states.map((state) => state.epoch),
    states.map((state) => state.head),
    states.map((state) => state.sent),
    states.map((state) => state.expiryInterval),
    states.map((state) => state.disconnectedAt),
    positions.map((row) => row.id),
    positions.map((row) => row.filter),
    positions.map((row) => row.position),
    states.map((state) => state.cursor),
    states.map((state) => `{${state.inFlight.join(',')}}`),
    states.map((state) => state.streamSent),
    states.map((state) => state.eventPosition),
  ]
}

function toPairs(flat: readonly string[]): readonly InFlightPosition[] {
  return Array.from({ length: flat.length / 2 }, (_, i) => [Number(flat[2 * i]), Number(flat[2 * i + 1])] as const)
}

function toSession(
  row: SessionRow,
  subscriptions: readonly SubscriptionRow[],
  will: StoredSession['will'],
): Omit<StoredSession, 'received'> {
  return {
    id: row.id,
    epoch: row.epoch,
    account: row.account,
    accountName: row.account_name,
    clientId: row.client_id,
    expiryInterval: row.expiry_interval,
    disconnectedAt: row.disconnected_at,
    head: row.head,
    sent: row.sent,
    cursor: row.cursor,
    inFlight: toPairs(row.in_flight),
    streamSent: row.stream_sent,
    eventPosition: row.event_position,
    queued: row.queued,
    queuedBytes: row.bytes,
    tail: row.tail,
    will,
    subscriptions: subscriptions.map((subscription) => ({
      filter: subscription.filter,
      qos: subscription.qos,
      noLocal: subscription.no_local,
      retainAsPublished: subscription.retain_as_published,
      subscriptionId: subscription.subscription_id,
      position: subscription.position,
    })),
  }
}
