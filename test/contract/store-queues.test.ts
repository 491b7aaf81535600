// Plain topics: queues of persistent sessions, and retained messages (DESIGN §5).
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Queueing, Retained } from '../../broker/stores.ts'
import { type StoreUnderTest, storeKinds } from '../helpers/store.ts'

const EMPTY = Buffer.alloc(0)
const noHandshakes = { received: [], forgotten: [], released: [], moved: [] }

describe.each(storeKinds)('queues on $name', ({ create }) => {
  let db: StoreUnderTest
  let position = 0
  beforeAll(async () => {
    db = await create()
  })
  afterAll(() => db.close())

  async function session(): Promise<number> {
    return (
      await db.store.sessions.open({
        account: 0,
        clientId: crypto.randomUUID(),
        expiryInterval: 3600,
        clean: false,
        will: null,
      })
    ).id
  }

  function publication(sessions: readonly number[], fields: Partial<Queueing> = {}): Queueing {
    position += 1
    const references = sessions.map((id) => ({
      session: id,
      qos: 1 as const,
      retain: false,
      subscriptionIds: [],
      share: '',
    }))
    const common = { topic: 'a/b', payload: Buffer.from('hello'), properties: EMPTY, expiresAt: null }
    return { position, ...common, references, ...fields }
  }

  async function bodies(of: readonly Queueing[]): Promise<number[]> {
    const rows = await db.sql<{ position: number }>(
      'SELECT position FROM queue_bodies WHERE position = ANY ($1::bigint[]) ORDER BY position',
      [of.map((body) => body.position)],
    )
    return rows.map((row) => row.position)
  }

  async function positions(id: number, after = 0): Promise<number[]> {
    return (await db.store.queues.read(id, after, 1_000)).map((queued) => queued.position)
  }

  async function receivedBy(id: number): Promise<readonly number[] | undefined> {
    const found = (await db.store.sessions.all()).find((one) => one.id === id)
    return found?.received.toSorted((one, other) => one - other)
  }

  it('gives each session its publications by position, as they were', async () => {
    const [a, b] = [await session(), await session()]
    const first = publication([a, b], {
      topic: 'häuser/{1}/"x"\\',
      payload: Buffer.from([0, 255, 92, 34]),
      properties: Buffer.from([38, 0]),
      expiresAt: 1_790_000_000_123,
      references: [
        { session: a, qos: 1, retain: true, subscriptionIds: [1, 268_435_455], share: '' },
        { session: b, qos: 2, retain: false, subscriptionIds: [], share: '' },
      ],
    })
    const second = publication([a])
    await db.store.queues.append([first, second], [])
    const { references, ...body } = first
    expect(await db.store.queues.read(a, 0, 1)).toEqual([
      { ...body, qos: 1, released: false, retain: true, subscriptionIds: [1, 268_435_455], share: '' },
    ])
    expect(await db.store.queues.read(b, 0, 10)).toEqual([
      { ...body, qos: 2, released: false, retain: false, subscriptionIds: [], share: '' },
    ])
    expect(await positions(a, first.position)).toEqual([second.position])
    expect(references).toHaveLength(2)
  })

  it('may be told the same batch again', async () => {
    const a = await session()
    const batch = [publication([a]), publication([a])]
    await db.store.queues.append(batch, [])
    await db.store.queues.append(batch, [])
    expect(await positions(a)).toEqual(batch.map((body) => body.position))
    await db.store.queues.append([], [])
  })

  it('removes what is acknowledged, of many sessions at once, and bodies that nobody waits for', async () => {
    const [a, b] = [await session(), await session()]
    const batch = [publication([a, b]), publication([a]), publication([a, b]), publication([b])]
    const [p1 = 0, p2 = 0, p3 = 0, p4 = 0] = batch.map((body) => body.position)
    await db.store.queues.append(batch, [])
    await db.store.queues.acknowledge(new Map([[a, p2]]))
    expect(await bodies(batch)).toEqual([p1, p3, p4])
    await db.store.queues.acknowledge(
      new Map([
        [b, p3],
        [a, p3],
      ]),
    )
    expect(await bodies(batch)).toEqual([p4])
    expect(await positions(a)).toEqual([])
    expect(await positions(b)).toEqual([p4])
    await db.store.queues.acknowledge(new Map())
  })

  it('trims the oldest of a full queue and tells how much went', async () => {
    const [a, b] = [await session(), await session()]
    const batch = [publication([a]), publication([a, b]), publication([a]), publication([a])]
    const [, p2 = 0, p3 = 0, p4 = 0] = batch.map((body) => body.position)
    await db.store.queues.append(batch, [])
    expect(await db.store.queues.trim(a, 4, 64)).toEqual({ head: 0, dropped: 0, droppedBytes: 0 })
    expect(await db.store.queues.trim(a, 2, 64)).toEqual({ head: p2, dropped: 2, droppedBytes: 10 })
    expect(await positions(a)).toEqual([p3, p4])
    expect(await bodies(batch)).toEqual([p2, p3, p4])
    expect(await db.store.queues.trim(a, 2, 64)).toEqual({ head: p2, dropped: 0, droppedBytes: 0 })
    expect(await db.store.queues.trim(a, 0, 64)).toEqual({ head: p4, dropped: 2, droppedBytes: 10 })
    expect(await bodies(batch)).toEqual([p2])
  })

  it('trims around QoS 2 that may be in flight: what is released, and the oldest that is not', async () => {
    const a = await session()
    const two = [{ session: a, qos: 2 as const, retain: false, subscriptionIds: [], share: '' }]
    const batch = [publication([a]), ...Array.from({ length: 6 }, () => publication([], { references: two }))]
    const at = batch.map((body) => body.position)
    await db.store.queues.append(batch, [])
    await db.store.queues.append([], [], { ...noHandshakes, released: [{ session: a, position: at[2] ?? 0 }] })
    expect(await db.store.queues.trim(a, 1, 2)).toEqual({ head: at[0], dropped: 3, droppedBytes: 15 })
    expect(await positions(a)).toEqual([1, 2, 3, 6].map((i) => at[i]))
  })

  it('keeps the steps of QoS 2 in one transaction with the messages, and may be told them again', async () => {
    const [a, b] = [await session(), await session()]
    const body = publication([a])
    const received = [1, 2, 65_535].map((packetId) => ({ session: b, packetId }))
    for (let i = 0; i < 2; i++) await db.store.queues.append([body], [], { ...noHandshakes, received })
    const later = { ...noHandshakes, received: [{ session: b, packetId: 3 }], forgotten: received.slice(1) }
    const released = [{ session: a, position: body.position }]
    for (let i = 0; i < 2; i++) await db.store.queues.append([], [], { ...later, released })
    expect(await db.store.queues.read(a, 0, 10)).toMatchObject([{ position: body.position, released: true }])
    expect(await receivedBy(b)).toEqual([1, 3])
    expect(await receivedBy(a)).toEqual([])
    await db.store.sessions.remove([b])
    expect(await db.sql('SELECT FROM received_packets WHERE session = $1', [b])).toEqual([])
  })

  it('moves a reference with its body to another session, once, and reads what is shared apart', async () => {
    const [a, b] = [await session(), await session()]
    const share = '$share/g/x'
    const own = { qos: 2 as const, retain: false, subscriptionIds: [1], share }
    const [body, plain, later] = [
      publication([], { references: [{ session: a, ...own }] }),
      publication([a]),
      publication([]),
    ]
    await db.store.queues.append([body, plain], [])
    expect(await db.store.queues.readShared(a, 0, 10, [share])).toMatchObject([{ position: body.position, share }])
    const to = { session: b, position: later.position, qos: 1 as const, subscriptionIds: [2, 3] }
    const moved = [{ session: a, position: body.position, to }]
    for (let i = 0; i < 2; i++) await db.store.queues.append([], [], { ...noHandshakes, moved })
    expect(await positions(a)).toEqual([plain.position])
    expect(await db.store.queues.read(b, 0, 10)).toMatchObject([
      { position: later.position, topic: body.topic, payload: body.payload, qos: 1, subscriptionIds: [2, 3], share },
    ])
    expect(await bodies([body, later])).toEqual([later.position])
  })

  it('leaves no body behind when two sessions let go of it at the same time', async () => {
    const [a, b] = [await session(), await session()]
    const batch = Array.from({ length: 200 }, () => publication([a, b]))
    await db.store.queues.append(batch, [])
    await Promise.all(
      batch.flatMap((body) => [a, b].map((id) => db.store.queues.acknowledge(new Map([[id, body.position]])))),
    )
    expect(await bodies(batch)).toEqual([])
  })

  it('knows the highest position ever used, also when all is drained', async () => {
    const opened = await db.store.sessions.open({
      account: 0,
      clientId: crypto.randomUUID(),
      expiryInterval: 3600,
      clean: false,
      will: null,
    })
    const last = publication([opened.id])
    await db.store.queues.append([last], [])
    expect(await db.store.queues.lastPosition()).toBe(last.position)
    await db.store.sessions.save([
      {
        ...opened,
        head: last.position,
        sent: last.position,
        expiryInterval: 3600,
        disconnectedAt: null,
        ...{ cursor: 0, inFlight: [], streamSent: 0, eventPosition: 0 },
        positions: new Map(),
      },
    ])
    await db.store.queues.acknowledge(new Map([[opened.id, last.position]]))
    expect(await db.store.queues.lastPosition()).toBe(last.position)
    // Positions that were left out of the queues: only the session knows them.
    const known = { expiryInterval: 3600, disconnectedAt: null, streamSent: 0, eventPosition: 0, inFlight: [] }
    const ahead = { sent: last.position + 5, cursor: last.position + 6, positions: new Map<string, number>() }
    await db.store.sessions.save([{ ...opened, head: last.position, ...known, ...ahead }])
    position += 6
    expect(await db.store.queues.lastPosition()).toBe(position)
  })

  it('keeps the latest retained message of a topic, and an empty one removes it', async () => {
    const long = 'x'.repeat(60_000)
    const retained = (topic: string, text: string): Retained => {
      return { topic, payload: Buffer.from(text), properties: EMPTY, qos: 1, expiresAt: null }
    }
    await db.store.queues.append([], [retained('r/1', 'old'), retained('r/2', 'two'), retained('r/1', 'new')])
    await db.store.queues.append([publication([])], [retained(long, 'long'), retained('r/3', 'gone')])
    await db.store.queues.append([], [retained('r/2', 'later'), retained('r/3', ''), retained('r/4', '')])
    const all = new Map((await db.store.queues.retained()).map((message) => [message.topic, message]))
    expect(all.get('r/1')).toEqual(retained('r/1', 'new'))
    expect(all.get('r/2')).toEqual(retained('r/2', 'later'))
    expect(all.get(long)).toEqual(retained(long, 'long'))
    expect(all.size).toBe(3)
  })
})
