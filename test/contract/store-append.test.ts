// The append of batches to the log (DESIGN §5).
import { createHash } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { BrokerError } from '../../broker/errors.ts'
import { type Appended, type Appending, type Store, TransientStoreError } from '../../broker/stores.ts'
import { type StoreUnderTest, someAccount, someMessage, storeKinds } from '../helpers/store.ts'

describe.each(storeKinds)('archive.append on $name', ({ create }) => {
  let db: StoreUnderTest
  beforeAll(async () => {
    db = await create()
  })
  afterAll(() => db.close())

  async function accounts(count: number): Promise<number[]> {
    const made = await Promise.all(Array.from({ length: count }, () => someAccount(db.store)))
    return made.map(({ id }) => id)
  }

  async function pair(): Promise<[number, number]> {
    const [a = 0, b = 0] = await accounts(2)
    return [a, b]
  }

  it('answers in the order of the batch and numbers each log without a hole', async () => {
    const [alice, bob] = await pair()
    const batch = [someMessage(alice, bob), someMessage(bob, alice), someMessage(alice, bob)]
    const outcomes = await append(db.store, batch)
    expect(outcomes.map(({ id }) => id)).toEqual(batch.map(({ id }) => id))
    expect(outcomes.map((outcome) => seqOf(outcome, alice))).toEqual([1, 2, 3])
    expect(outcomes.map((outcome) => seqOf(outcome, bob))).toEqual([1, 2, 3])
    const [next] = await append(db.store, [someMessage(bob, alice)])
    expect(next?.positions).toHaveLength(2)
    expect(seqOf(next, bob)).toBe(4)
    expect(await db.store.archive.head(alice)).toBe(4)
  })

  it('writes one row for a message to oneself', async () => {
    const [alice] = await pair()
    const [outcome] = await append(db.store, [someMessage(alice, alice)])
    expect(outcome?.positions).toEqual([{ owner: alice, seq: 1 }])
    expect(await db.store.archive.read(alice, 0, 10)).toHaveLength(1)
  })

  it('takes no batch of nothing to the database', async () => {
    expect(await db.store.archive.append([])).toEqual([])
  })

  it('keeps what it was given', async () => {
    const [alice, bob] = await pair()
    const message = someMessage(alice, bob, {
      device: 'phöne',
      toResource: 'desk, "two"',
      oid: '{c1,\\"42}',
      hash: hashOf('x'),
      xid: "x'1",
      ref: 'r',
      body: { format: 'xml', text: '<body>hi \\ {"} NULL</body>' },
      ttl: 0xffff_ffff,
    })
    const [outcome] = await append(db.store, [message])
    const [row] = await db.store.archive.read(bob, 0, 10)
    expect(row).toMatchObject({
      id: message.id,
      ts: outcome?.ts,
      owner: bob,
      seq: 1,
      kind: 'message',
      sender: alice,
      receiver: bob,
      device: 'phöne',
      toResource: 'desk, "two"',
      oid: '{c1,\\"42}',
      xid: "x'1",
      body: message.body,
    })
  })

  it('answers a repeated key with the first id and time, in one batch and in later ones', async () => {
    const [alice, bob] = await pair()
    const keyed = () => someMessage(alice, bob, { oid: 'c1', hash: hashOf('one') })
    const first = keyed()
    const [made, within, other] = await append(db.store, [first, keyed(), someMessage(alice, bob)])
    expect(made).toMatchObject({ id: first.id, repeated: false })
    expect(within).toEqual({ id: first.id, ts: made?.ts, repeated: true, positions: [] })
    expect(seqOf(other, alice)).toBe(2)
    const [later] = await append(db.store, [keyed()])
    expect(later).toEqual(within)
    expect(await db.store.archive.head(alice)).toBe(2)
  })

  it('takes the same key with other content, or from another sender, as a new message', async () => {
    const [alice, bob] = await pair()
    const outcomes = await append(db.store, [
      someMessage(alice, bob, { oid: 'c1', hash: hashOf('one') }),
      someMessage(alice, bob, { oid: 'c1', hash: hashOf('two') }),
      someMessage(bob, alice, { oid: 'c1', hash: hashOf('one') }),
    ])
    expect(outcomes.map(({ repeated }) => repeated)).toEqual([false, false, false])
  })

  it('takes keys of any length', async () => {
    const [alice, bob] = await pair()
    const long = Array.from({ length: 200 }, () => crypto.randomUUID()).join()
    const keyed = () => someMessage(alice, bob, { oid: long, hash: hashOf('one') })
    const [first, second] = await append(db.store, [keyed(), keyed()])
    expect(second).toMatchObject({ id: first?.id, repeated: true })
  })

  it('forgets a key after 7 days', async () => {
    const [alice, bob] = await pair()
    const keyed = () => someMessage(alice, bob, { oid: 'c1', hash: hashOf('one') })
    await append(db.store, [keyed()])
    await db.sql("UPDATE oids SET at = now() - interval '7 days 1 second' WHERE sender = $1", [alice])
    const renewed = keyed()
    const [second] = await append(db.store, [renewed])
    expect(second).toMatchObject({ id: renewed.id, repeated: false })
    const [third] = await append(db.store, [keyed()])
    expect(third).toMatchObject({ id: renewed.id, repeated: true })
  })

  it('never runs back in time within an owner, also when the clock steps back', async () => {
    const [alice, bob] = await pair()
    const ahead = Date.now() + 3_600_000
    await db.sql('UPDATE owners SET last_at = to_timestamp($2::bigint / 1000.0) WHERE id = $1', [alice, ahead])
    const [first] = await append(db.store, [someMessage(bob, alice)])
    expect(first?.ts).toBe(ahead)
    const [second] = await append(db.store, [someMessage(bob, bob)])
    expect(second?.ts).toBe(ahead)
  })

  it('answers a whole batch that comes again, its outcome unknown, as the first time', async () => {
    const [alice, bob] = await pair()
    const batch = [
      someMessage(alice, bob),
      someMessage(bob, bob),
      someMessage(alice, bob, { oid: 'c1', hash: hashOf('one') }),
      someMessage(alice, bob, { oid: 'c1', hash: hashOf('one') }),
    ]
    const first = await append(db.store, batch)
    const again = await append(db.store, batch)
    expect(again.map(sorted)).toEqual(first.map(sorted))
    expect(await db.store.archive.head(bob)).toBe(3)
  })

  it('appends the rest of a batch of which a part was stored before', async () => {
    const [alice, bob] = await pair()
    const batch = Array.from({ length: 7 }, () => someMessage(alice, bob))
    const stored = await append(db.store, batch.slice(2, 5))
    const outcomes = await append(db.store, batch)
    expect(outcomes.slice(2, 5).map(sorted)).toEqual(stored.map(sorted))
    expect(outcomes.map((outcome) => seqOf(outcome, bob))).toEqual([4, 5, 1, 2, 3, 6, 7])
  })

  it('answers an error for each message that can never be stored, and stores the rest in order', async () => {
    const [alice, bob] = await pair()
    const batch = Array.from({ length: 9 }, (_, n) => someMessage(alice, bob, n % 4 === 1 ? { text: 'a\0b' } : {}))
    batch.push(someMessage(alice, 999_999_999), someMessage(alice, bob))
    const outcomes = await db.store.archive.append(batch)
    const failed = outcomes.flatMap((outcome, n) => (outcome instanceof Error ? [n] : []))
    expect(failed).toEqual([1, 5, 9])
    const codes = failed.map((n) => outcomes[n]).map((outcome) => outcome instanceof BrokerError && outcome.code)
    expect(codes).toEqual(['bad-payload', 'bad-payload', 'refused'])
    expect(outcomes.some((outcome) => outcome instanceof TransientStoreError)).toBe(false)
    const rows = await db.store.archive.read(bob, 0, 100)
    expect(rows.map(({ id }) => id)).toEqual(batch.filter((_, n) => !failed.includes(n)).map(({ id }) => id))
    expect(await db.store.archive.head(alice)).toBe(8)
  })

  it('blames no message for what is wrong with the database', async () => {
    const [alice, bob] = await pair()
    await db.sql('ALTER TABLE messages RENAME COLUMN text TO elsewhere')
    try {
      const [outcome] = await db.store.archive.append([someMessage(alice, bob)])
      expect(outcome).toBeInstanceOf(Error)
      expect(outcome).not.toBeInstanceOf(BrokerError)
    } finally {
      await db.sql('ALTER TABLE messages RENAME COLUMN elsewhere TO text')
    }
  })

  it('keeps every promise with four writers on shared owners', async () => {
    const owners = await accounts(6)
    const [ahead = 0] = owners
    await db.sql("UPDATE owners SET last_at = date_trunc('ms', now()) + interval '1 minute' WHERE id = $1", [ahead])
    const writers = [db.store, ...(await Promise.all([db.open(), db.open(), db.open()]))]
    const firstIds = new Map<string, Set<string>>()
    let reading = true
    const reader = watchForHoles(db.store, owners, () => reading)
    await Promise.all(writers.map((store, n) => write(store, owners, n, firstIds)))
    reading = false
    await reader
    for (const ids of firstIds.values()) expect(ids.size).toBe(1)
    for (const owner of owners) {
      const rows = await db.store.archive.read(owner, 0, 100_000)
      expect(rows.map(({ seq }) => seq)).toEqual(rows.map((_, n) => n + 1))
      for (const [n, row] of rows.entries()) expect(row.ts).toBeGreaterThanOrEqual(rows[n - 1]?.ts ?? 0)
      expect(new Set(rows.map(({ id }) => id)).size).toBe(rows.length)
    }
  })
})

/** Batches of all sizes between random owners, two at a time, some with keys that the other writers use as well. */
async function write(
  store: Store,
  owners: readonly number[],
  writer: number,
  firstIds: Map<string, Set<string>>,
): Promise<void> {
  const pick = (n: number) => owners[n % owners.length] ?? 0
  const batches = Array.from({ length: 30 }, (_, b) =>
    Array.from({ length: 1 + ((7 * b + writer) % 40) }, (_, m): Appending => {
      const n = b * 41 + m
      if (n % 3 > 0) return someMessage(pick(n * 5 + writer), pick(n * 11 + b))
      return someMessage(pick(n), pick(n + 1), { oid: `k${n}`, hash: hashOf('same') })
    }),
  )
  const queue = batches.values()
  const lane = async () => {
    for (const batch of queue) {
      const outcomes = await append(store, batch)
      for (const [n, { oid }] of batch.entries()) {
        const { id } = outcomes[n] ?? { id: '' }
        if (oid !== null) firstIds.set(oid, (firstIds.get(oid) ?? new Set()).add(id))
      }
    }
  }
  await Promise.all([lane(), lane()])
}

/** n+1 must never be visible before n. */
async function watchForHoles(store: Store, owners: readonly number[], on: () => boolean): Promise<void> {
  const last = new Map<number, number>()
  while (on()) {
    for (const owner of owners) {
      const after = last.get(owner) ?? 0
      const rows = await store.archive.read(owner, after, 10_000)
      expect(rows.map(({ seq }) => seq)).toEqual(rows.map((_, n) => after + n + 1))
      last.set(owner, after + rows.length)
    }
  }
}

async function append(store: Store, batch: readonly Appending[]): Promise<Appended[]> {
  const outcomes = await store.archive.append(batch)
  return outcomes.map((outcome) => {
    if (outcome instanceof Error) throw outcome
    return outcome
  })
}

function seqOf(outcome: Appended | undefined, owner: number): number | undefined {
  return outcome?.positions.find((position) => position.owner === owner)?.seq
}

function sorted(outcome: Appended): Appended {
  return { ...outcome, positions: outcome.positions.toSorted((a, b) => a.owner - b.owner) }
}

function hashOf(text: string): Buffer {
  return createHash('sha256').update(text).digest()
}
