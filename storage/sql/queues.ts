// Plain topics: publications that wait for persistent sessions, and retained messages.
import type { Handshakes, Queued, Queueing, QueueStore, Retained } from '../../broker/stores.ts'
import { bigintArray, booleanArray, byteaArray, integerArray, smallintArray, textArray } from '../binary-array.ts'
import type { Connection, Statement } from '../postgres.ts'
import type { QueueRemoval } from './queue-removal.ts'

/** Arrays of arrays must be square in SQL, so subscription ids travel as text. */
const APPEND: Statement = {
  name: 'queue-append',
  text: `WITH
  b AS (
    INSERT INTO queue_bodies (position, topic, payload, properties, expires_at)
    SELECT position, topic, payload, properties, to_timestamp(expires_at / 1000.0)
    FROM unnest($1::bigint[], $2::text[], $3::bytea[], $4::bytea[], $5::bigint[])
      AS v(position, topic, payload, properties, expires_at)
    ON CONFLICT DO NOTHING)
  INSERT INTO queue_references (session, position, retain, subscription_ids, qos, share)
  SELECT session, position, retain, ids::integer[], qos, share
  FROM unnest($6::bigint[], $7::bigint[], $8::boolean[], $9::text[], $10::smallint[], $11::text[])
    AS v(session, position, retain, ids, qos, share)
  ON CONFLICT DO NOTHING`,
}

const APPEND_RETAINED: Statement = {
  name: 'queue-append-retained',
  text: APPEND.text.replace(
    'WITH',
    `WITH
  x AS (
    DELETE FROM retained AS t USING unnest($12::text[]) AS v(topic) WHERE text_key(t.topic) = text_key(v.topic)),
  y AS (
    INSERT INTO retained (topic, payload, properties, qos, expires_at)
    SELECT topic, payload, properties, qos, to_timestamp(expires_at / 1000.0)
    FROM unnest($13::text[], $14::bytea[], $15::bytea[], $16::smallint[], $17::bigint[])
      AS v(topic, payload, properties, qos, expires_at)
    ORDER BY topic
    ON CONFLICT (text_key(topic)) DO UPDATE SET (payload, properties, qos, expires_at) =
      (excluded.payload, excluded.properties, excluded.qos, excluded.expires_at)),`,
  ),
}

/** No row is in two of the three. */
const APPEND_HANDSHAKES: Statement = {
  name: 'queue-append-handshakes',
  text: APPEND_RETAINED.text.replace(
    'WITH',
    `WITH
  received AS (
    INSERT INTO received_packets (session, packet_id)
    SELECT session, packet_id FROM unnest($18::bigint[], $19::integer[]) AS v(session, packet_id)
    ON CONFLICT DO NOTHING),
  forgotten AS (
    DELETE FROM received_packets AS t USING unnest($20::bigint[], $21::integer[]) AS v(session, packet_id)
    WHERE t.session = v.session AND t.packet_id = v.packet_id),
  released AS (
    UPDATE queue_references AS t SET released = true FROM unnest($22::bigint[], $23::bigint[]) AS v(session, position)
    WHERE t.session = v.session AND t.position = v.position),
  moved AS (
    UPDATE queue_references AS t SET session = v.to_session, position = v.to_position, qos = v.qos,
      subscription_ids = v.ids::integer[]
    FROM unnest($24::bigint[], $25::bigint[], $26::bigint[], $27::bigint[], $28::smallint[], $29::text[])
      AS v(session, position, to_session, to_position, qos, ids)
    WHERE t.session = v.session AND t.position = v.position
    RETURNING v.position AS was, t.position),
  moved_bodies AS (UPDATE queue_bodies AS t SET position = m.position FROM moved AS m WHERE t.position = m.was),`,
  ),
}

const READ: Statement = {
  name: 'queue-read',
  text: `SELECT r.position, b.topic, b.payload, b.properties,
    floor(extract(epoch FROM b.expires_at) * 1000)::bigint AS "expiresAt", r.qos, r.released, r.retain,
    r.subscription_ids AS "subscriptionIds", r.share
  FROM queue_references AS r JOIN queue_bodies AS b ON b.position = r.position
  WHERE r.session = $1 AND r.position > $2 ORDER BY r.position LIMIT $3`,
}

const READ_SHARED: Statement = {
  name: 'queue-read-shared',
  text: READ.text.replace('ORDER', 'AND r.share = ANY ($4::text[]) ORDER'),
}

const LAST_POSITION: Statement = {
  name: 'queue-last-position',
  text: `SELECT greatest(
    (SELECT coalesce(max(position), 0) FROM queue_bodies),
    (SELECT coalesce(max(greatest(head, sent, cursor)), 0) FROM sessions)) AS position`,
}

const RETAINED: Statement = {
  name: 'queue-retained',
  text: `SELECT topic, payload, properties, qos, floor(extract(epoch FROM expires_at) * 1000)::bigint AS "expiresAt"
  FROM retained`,
}

/** `writer` is pipelined: the next batch may be sent before the last one is committed. */
export function createQueueStore(db: Connection, writer: Connection, removal: QueueRemoval): QueueStore {
  return {
    async append(queue, retained, handshakes = null) {
      const values = queueColumns(queue)
      if (handshakes !== null) {
        const columns = [...values, ...retainedColumns(retained), ...handshakeColumns(handshakes)]
        await writer.query(APPEND_HANDSHAKES, columns)
      } else if (retained.length > 0) await writer.query(APPEND_RETAINED, [...values, ...retainedColumns(retained)])
      else if (queue.length > 0) await writer.query(APPEND, values)
    },
    async read(session, after, limit) {
      return db.query<Queued>(READ, [session, after, limit])
    },
    readShared: (session, after, limit, filters) => db.query<Queued>(READ_SHARED, [session, after, limit, filters]),
    acknowledge: removal.acknowledge,
    trim: removal.trim,
    async lastPosition() {
      const [row] = await db.query<{ position: number }>(LAST_POSITION, [])
      return row?.position ?? 0
    },
    retained: () => db.query<Retained>(RETAINED, []),
  }
}

function queueColumns(queue: readonly Queueing[]): readonly Buffer[] {
  const references = queue.flatMap(({ references }) => references)
  const positions = queue.flatMap(({ position, references }) => references.map(() => position))
  return [
    bigintArray(queue.map((body) => body.position)),
    textArray(queue.map((body) => body.topic)),
    byteaArray(queue.map((body) => body.payload)),
    byteaArray(queue.map((body) => body.properties)),
    bigintArray(queue.map((body) => body.expiresAt)),
    bigintArray(references.map((reference) => reference.session)),
    bigintArray(positions),
    booleanArray(references.map((reference) => reference.retain)),
    textArray(references.map(({ subscriptionIds }) => (subscriptionIds.length > 0 ? `{${subscriptionIds}}` : '{}'))),
    smallintArray(references.map((reference) => reference.qos)),
    textArray(references.map((reference) => reference.share)),
  ]
}

function handshakeColumns({ received, forgotten, released, moved }: Handshakes): readonly Buffer[] {
  return [
    bigintArray(received.map((packet) => packet.session)),
    integerArray(received.map((packet) => packet.packetId)),
    bigintArray(forgotten.map((packet) => packet.session)),
    integerArray(forgotten.map((packet) => packet.packetId)),
    bigintArray(released.map((reference) => reference.session)),
    bigintArray(released.map((reference) => reference.position)),
    bigintArray(moved.map((move) => move.session)),
    bigintArray(moved.map((move) => move.position)),
    bigintArray(moved.map(({ to }) => to.session)),
    bigintArray(moved.map(({ to }) => to.position)),
    smallintArray(moved.map(({ to }) => to.qos)),
    textArray(moved.map(({ to }) => `{${to.subscriptionIds.join(',')}}`)),
  ]
}

/** Of several for one topic the last one counts. */
function retainedColumns(retained: readonly Retained[]): readonly Buffer[] {
  const latest = [...new Map(retained.map((message) => [message.topic, message])).values()]
  const kept = latest.filter((message) => message.payload.length > 0)
  return [
    textArray(latest.filter((message) => message.payload.length === 0).map((message) => message.topic)),
    textArray(kept.map((message) => message.topic)),
    byteaArray(kept.map((message) => message.payload)),
    byteaArray(kept.map((message) => message.properties)),
    smallintArray(kept.map((message) => message.qos)),
    bigintArray(kept.map((message) => message.expiresAt)),
  ]
}
