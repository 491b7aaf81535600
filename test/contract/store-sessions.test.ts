// Persistent sessions: takeover, fencing, what is left of them (DESIGN §6).
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { SessionState, StoredSession, StoredSubscription, StoredWill } from '../../broker/stores.ts'
import { type StoreUnderTest, someAccount, someMessage, storeKinds } from '../helpers/store.ts'

const EMPTY = Buffer.alloc(0)

describe.each(storeKinds)('sessions on $name', ({ create }) => {
  let db: StoreUnderTest
  let position = 1_000
  beforeAll(async () => {
    db = await create()
  })
  afterAll(() => db.close())

  const subscription = (filter: string, fields: Partial<StoredSubscription> = {}): StoredSubscription => ({
    ...{ filter, qos: 1, noLocal: false, retainAsPublished: false, subscriptionId: 0, position: null },
    ...fields,
  })

  const state = (opened: { id: number; epoch: number }, fields: Partial<SessionState> = {}): SessionState => ({
    ...{
      id: opened.id,
      epoch: opened.epoch,
      head: 0,
      sent: 0,
      expiryInterval: 60,
      disconnectedAt: null,
      ...{ cursor: 0, inFlight: [], streamSent: 0, eventPosition: 0 },
      positions: new Map(),
    },
    ...fields,
  })

  async function stored(id: number): Promise<StoredSession | undefined> {
    return (await db.store.sessions.all()).find((session) => session.id === id)
  }

  async function queue(...sessions: number[]): Promise<number> {
    position += 1
    const references = sessions.map((session) => ({
      session,
      qos: 1 as const,
      retain: false,
      subscriptionIds: [],
      share: '',
    }))
    const body = { position, topic: 't', payload: Buffer.from('12345'), properties: EMPTY, expiresAt: null }
    await db.store.queues.append([{ ...body, references }], [])
    return position
  }

  it('finds a session again by account and client id, whatever its length', async () => {
    const account = await someAccount(db.store)
    const long = 'ü'.repeat(30_000)
    const first = await db.store.sessions.open({
      account: account.id,
      clientId: long,
      expiryInterval: 60,
      clean: false,
      will: null,
    })
    const other = await db.store.sessions.open({
      account: 0,
      clientId: long,
      expiryInterval: 60,
      clean: false,
      will: null,
    })
    const second = await db.store.sessions.open({
      account: account.id,
      clientId: long,
      expiryInterval: 90,
      clean: false,
      will: null,
    })
    expect(second).toEqual({ id: first.id, epoch: first.epoch + 1 })
    expect(other.id).not.toBe(first.id)
    expect(await stored(first.id)).toMatchObject({
      ...{ account: account.id, accountName: account.name, clientId: long, expiryInterval: 90, disconnectedAt: null },
      ...{ head: 0, sent: 0, queued: 0, queuedBytes: 0, tail: 0, subscriptions: [] },
    })
    expect(await stored(other.id)).toMatchObject({ account: 0, accountName: '' })
  })

  it('keeps subscriptions; the last one of a filter counts', async () => {
    const { id, epoch } = await db.store.sessions.open({
      account: 0,
      clientId: crypto.randomUUID(),
      expiryInterval: 60,
      clean: false,
      will: null,
    })
    const kept = subscription('b/+', { qos: 0, noLocal: true, retainAsPublished: true, subscriptionId: 268_435_455 })
    const stream = subscription('u/me/msg', { position: 5 })
    const long = subscription('l/'.repeat(20_000))
    const first = [subscription('a'), subscription('b/+'), kept, stream, long]
    expect(await db.store.sessions.subscribe(id, epoch, first)).toBe(true)
    expect(await db.store.sessions.subscribe(id, epoch, [subscription('a', { qos: 0 })])).toBe(true)
    expect(await db.store.sessions.unsubscribe(id, epoch, [long.filter, 'never'])).toBe(true)
    const byFilter = new Map((await stored(id))?.subscriptions.map((row) => [row.filter, row]))
    expect(byFilter.get('a')).toEqual(subscription('a', { qos: 0 }))
    expect(byFilter.get('b/+')).toEqual(kept)
    expect(byFilter.get('u/me/msg')).toEqual(stream)
    expect(byFilter.size).toBe(3)
  })

  it('changes nothing for an owner that was taken over, and says so', async () => {
    const clientId = crypto.randomUUID()
    const old = await db.store.sessions.open({ account: 0, clientId, expiryInterval: 60, clean: false, will: null })
    await db.store.sessions.subscribe(old.id, old.epoch, [subscription('u/me/msg', { position: 1 })])
    const now = await db.store.sessions.open({ account: 0, clientId, expiryInterval: 60, clean: false, will: null })
    expect(await db.store.sessions.subscribe(old.id, old.epoch, [subscription('late')])).toBe(false)
    expect(await db.store.sessions.unsubscribe(old.id, old.epoch, ['u/me/msg'])).toBe(false)
    await db.store.sessions.save([
      state(old, { head: 99, expiryInterval: 1, disconnectedAt: 5, positions: new Map([['u/me/msg', 99]]) }),
    ])
    const untouched = { head: 0, expiryInterval: 60, disconnectedAt: null }
    expect(await stored(now.id)).toMatchObject({
      ...untouched,
      subscriptions: [subscription('u/me/msg', { position: 1 })],
    })
  })

  it('saves many sessions in one statement: heads and positions go up only', async () => {
    const [a, b] = [
      await db.store.sessions.open({
        account: 0,
        clientId: crypto.randomUUID(),
        expiryInterval: 60,
        clean: false,
        will: null,
      }),
      await db.store.sessions.open({
        account: 0,
        clientId: crypto.randomUUID(),
        expiryInterval: 60,
        clean: false,
        will: null,
      }),
    ]
    for (const { id, epoch } of [a, b]) {
      await db.store.sessions.subscribe(id, epoch, [
        subscription('u/me/msg', { position: 3 }),
        subscription('u/me/sent', { position: 3 }),
        subscription('plain'),
      ])
    }
    await db.store.sessions.save([
      state(b, { head: 7, sent: 12, disconnectedAt: 1_790_000_000_123, positions: new Map([['u/me/msg', 9]]) }),
      state(a, {
        head: 4,
        expiryInterval: 0xffff_ffff,
        positions: new Map([
          ['u/me/sent', 2],
          ['u/me/msg', 4],
        ]),
      }),
    ])
    await db.store.sessions.save([state(b, { head: 6, disconnectedAt: 1_790_000_000_124 })])
    await db.store.sessions.save([])
    const [one, two] = [await stored(a.id), await stored(b.id)]
    expect(one).toMatchObject({ head: 4, expiryInterval: 0xffff_ffff, disconnectedAt: null })
    expect(two).toMatchObject({ head: 7, sent: 12, expiryInterval: 60, disconnectedAt: 1_790_000_000_124 })
    const positions = (session?: StoredSession) =>
      Object.fromEntries(session?.subscriptions.map((row) => [row.filter, row.position]) ?? [])
    expect(positions(one)).toEqual({ 'u/me/msg': 4, 'u/me/sent': 3, plain: null })
    expect(positions(two)).toEqual({ 'u/me/msg': 9, 'u/me/sent': 3, plain: null })
  })

  it('keeps what is in flight as it was saved last, and what of the log may have been sent', async () => {
    const { sessions, archive } = db.store
    const account = await someAccount(db.store)
    const opening = { account: account.id, clientId: 'in flight', expiryInterval: 60, clean: false, will: null }
    const opened = await sessions.open(opening)
    const fields = {
      cursor: 12,
      inFlight: [
        [9, 65_535],
        [11, 1],
      ],
      streamSent: 3,
      disconnectedAt: 1000,
    } as const
    await sessions.save([state(opened, fields)])
    const { disconnectedAt: _then, ...kept } = fields
    expect(await stored(opened.id)).toMatchObject(kept)
    await sessions.save([state(opened, { cursor: 14, streamSent: 2, disconnectedAt: 1001 })])
    expect(await stored(opened.id)).toMatchObject({ cursor: 14, inFlight: [], streamSent: 3 })
    // Whoever was online may have been sent all that the log has.
    await archive.append(Array.from({ length: 5 }, () => someMessage(account.id, account.id)))
    expect(await stored(opened.id)).toMatchObject({ streamSent: 3 })
    const again = await sessions.open(opening)
    expect(await stored(again.id)).toMatchObject({ streamSent: 5, cursor: 14 })
  })

  it('counts what waits behind the head', async () => {
    const opened = await db.store.sessions.open({
      account: 0,
      clientId: crypto.randomUUID(),
      expiryInterval: 60,
      clean: false,
      will: null,
    })
    const head = await queue(opened.id)
    await queue(opened.id)
    const tail = await queue(opened.id)
    expect(await stored(opened.id)).toMatchObject({ queued: 3, queuedBytes: 15, tail })
    await db.store.sessions.save([state(opened, { head })])
    expect(await stored(opened.id)).toMatchObject({ head, queued: 2, queuedBytes: 10, tail })
  })

  it('begins anew when it is opened clean: what is under way to the old one cannot reach it', async () => {
    const clientId = crypto.randomUUID()
    const old = await db.store.sessions.open({ account: 0, clientId, expiryInterval: 60, clean: false, will: null })
    await db.store.sessions.subscribe(old.id, old.epoch, [subscription('a')])
    const waiting = await queue(old.id)
    const clean = await db.store.sessions.open({ account: 0, clientId, expiryInterval: 60, clean: true, will: null })
    await queue(old.id)
    expect(await db.store.sessions.subscribe(old.id, old.epoch, [subscription('late')])).toBe(false)
    expect(await stored(clean.id)).toMatchObject({ clientId, head: 0, queued: 0, subscriptions: [] })
    expect(await db.store.queues.read(clean.id, 0, 10)).toEqual([])
    expect((await db.store.sessions.all()).filter((session) => session.clientId === clientId)).toHaveLength(1)
    expect(await db.sql('SELECT 1 FROM queue_bodies WHERE position = $1', [waiting])).toEqual([])
  })

  it('opens one session for all who open it at once, each with an epoch of its own', async () => {
    const clientId = crypto.randomUUID()
    const other = await db.open()
    const opened = await Promise.all(
      Array.from({ length: 12 }, (_, n) =>
        (n % 2 ? other : db.store).sessions.open({
          account: 0,
          clientId,
          expiryInterval: 60,
          clean: n % 3 === 0,
          will: null,
        }),
      ),
    )
    const keys = new Set(opened.map(({ id, epoch }) => `${id}/${epoch}`))
    expect(keys.size).toBe(opened.length)
    expect((await db.store.sessions.all()).filter((session) => session.clientId === clientId)).toHaveLength(1)
  })

  it('removes sessions with their subscriptions and queues, but not what others wait for', async () => {
    const [a, b] = [
      await db.store.sessions.open({
        account: 0,
        clientId: crypto.randomUUID(),
        expiryInterval: 60,
        clean: false,
        will: null,
      }),
      await db.store.sessions.open({
        account: 0,
        clientId: crypto.randomUUID(),
        expiryInterval: 60,
        clean: false,
        will: null,
      }),
    ]
    await db.store.sessions.subscribe(a.id, a.epoch, [subscription('a')])
    const [own, shared] = [await queue(a.id), await queue(a.id, b.id)]
    await db.store.sessions.remove([a.id])
    await db.store.sessions.remove([])
    expect(await stored(a.id)).toBeUndefined()
    expect((await db.store.queues.read(b.id, 0, 10)).map((queued) => queued.position)).toEqual([shared])
    expect(await db.sql('SELECT 1 FROM subscriptions WHERE session = $1', [a.id])).toEqual([])
    expect(await db.sql('SELECT 1 FROM queue_bodies WHERE position = $1', [own])).toEqual([])
  })

  it('keeps the Will of the last connection until it is settled; another epoch settles nothing', async () => {
    const { sessions } = db.store
    const clientId = crypto.randomUUID()
    const will = { topic: 't', payload: Buffer.from([0, 255]), qos: 1, retain: true, delay: 0xffff_ffff } as const
    const [first, second] = [
      { ...will, properties: Buffer.from([1, 2]) },
      { ...will, properties: EMPTY, qos: 0, retain: false, delay: 0 },
    ] as const
    const open = (more: { will: StoredWill | null; clean?: boolean }) =>
      sessions.open({ account: 0, clientId, expiryInterval: 60, clean: false, ...more })
    const a = await open({ will: first })
    expect(await stored(a.id)).toMatchObject({ epoch: a.epoch, will: first })
    const b = await open({ will: second })
    await sessions.removeWills([a])
    expect((await stored(b.id))?.will).toEqual(second)
    await sessions.removeWills([b, { id: 999_999_999, epoch: 1 }])
    await sessions.removeWills([])
    expect((await stored(b.id))?.will).toBeNull()
    await open({ will: first })
    expect((await stored((await open({ will: null })).id))?.will).toBeNull()
    await open({ will: first })
    const clean = await open({ will: null, clean: true })
    expect((await stored(clean.id))?.will).toBeNull()
    const last = await open({ will: first })
    await sessions.remove([last.id])
    expect(await db.sql('SELECT 1 FROM wills WHERE session = $1', [last.id])).toEqual([])
  })

  it('sweeps away what an unclean stop has left, when all are read', async () => {
    const orphan = await queue(999_999_999)
    await db.store.sessions.all()
    expect(await db.sql('SELECT 1 FROM queue_references WHERE session = 999999999')).toEqual([])
    expect(await db.sql('SELECT 1 FROM queue_bodies WHERE position = $1', [orphan])).toEqual([])
  })
})
