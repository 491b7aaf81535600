// Searching one owner's log by id, by time and by page (XEP-0313 and XEP-0059 stand on it).
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Appended, Appending } from '../../broker/stores.ts'
import type { ArchivePageQuery } from '../../broker/types.ts'
import { createUuid } from '../../broker/uuid.ts'
import { type StoreUnderTest, someAccount, someMessage, storeKinds } from '../helpers/store.ts'

const everything: ArchivePageQuery = {
  after: 0,
  before: Number.MAX_SAFE_INTEGER,
  peer: null,
  resource: null,
  seqs: null,
  order: 'oldest',
  skip: 0,
  limit: 100,
  maxBytes: 1_000_000,
}

describe.each(storeKinds)('searching the archive on $name', ({ create }) => {
  let db: StoreUnderTest
  beforeAll(async () => {
    db = await create()
  })
  afterAll(() => db.close())

  async function append(batch: readonly Appending[]): Promise<readonly Appended[]> {
    const outcomes = await db.store.archive.append(batch)
    return outcomes.map((outcome) => {
      if (outcome instanceof Error) throw outcome
      return outcome
    })
  }

  /** Several batches, each of one instant. */
  async function conversation(batches: readonly number[]) {
    const [alice, bob] = [await someAccount(db.store), await someAccount(db.store)]
    const all: Appended[] = []
    for (const size of batches) {
      all.push(...(await append(Array.from({ length: size }, () => someMessage(alice.id, bob.id)))))
    }
    return { alice, bob, all }
  }

  async function seqs(owner: number, query: Partial<ArchivePageQuery>): Promise<readonly number[]> {
    const { rows } = await db.store.archiveQueries.page(owner, { ...everything, ...query })
    return rows.map(({ seq }) => seq)
  }

  it('finds every id in the log that it is in, however many share its instant, and no other', async () => {
    const { bob, all } = await conversation([1, 40, 3, 1, 25])
    const stranger = await someAccount(db.store)
    const ids = all.map(({ id }) => id)
    const found = await db.store.archiveQueries.seqsOf(bob.id, [...ids, createUuid()])
    expect(ids.map((id) => found.get(id))).toEqual(ids.map((_, i) => i + 1))
    expect(found.size).toBe(ids.length)
    expect(await db.store.archiveQueries.seqsOf(stranger.id, ids)).toEqual(new Map())
    expect(await db.store.archiveQueries.seqsOf(bob.id, [])).toEqual(new Map())
  })

  it('finds ids when the beginning of the log is gone', async () => {
    const { bob, all } = await conversation([5, 5, 5])
    await db.sql('DELETE FROM archive WHERE owner = $1 AND seq <= 7', [bob.id])
    const found = await db.store.archiveQueries.seqsOf(
      bob.id,
      all.map(({ id }) => id),
    ) // prettier-ignore
    expect([...found.values()].sort((a, b) => a - b)).toEqual([8, 9, 10, 11, 12, 13, 14, 15])
  })

  it('finds the first place that is not before an instant', async () => {
    const { bob, all } = await conversation([3, 4, 2])
    const { seqsAt } = db.store.archiveQueries
    const instants = [0, ...all.map(({ ts }) => ts), (all[3]?.ts ?? 0) + 1, (all[8]?.ts ?? 0) + 1]
    // Batches may share a millisecond.
    const first = (at: number) => all.findIndex(({ ts }) => ts >= at)
    const places = instants.map((at) => (first(at) < 0 ? all.length : first(at)) + 1)
    expect(await seqsAt(bob.id, instants)).toEqual(places)
    const nobody = await someAccount(db.store)
    expect(await seqsAt(nobody.id, [0, Date.now()])).toEqual([1, 1])
  })

  it('answers a page from either end, of a range, and whether there is more', async () => {
    const { bob } = await conversation([10])
    const { page } = db.store.archiveQueries
    expect(await seqs(bob.id, { limit: 3 })).toEqual([1, 2, 3])
    expect(await seqs(bob.id, { limit: 3, order: 'newest' })).toEqual([10, 9, 8])
    expect(await seqs(bob.id, { after: 4, before: 8 })).toEqual([5, 6, 7])
    expect(await seqs(bob.id, { limit: 3, skip: 4 })).toEqual([5, 6, 7])
    expect((await page(bob.id, { ...everything, limit: 10 })).hasMore).toBe(false)
    expect((await page(bob.id, { ...everything, limit: 9 })).hasMore).toBe(true)
    expect(await db.store.archiveQueries.count(bob.id, { ...everything, after: 4 })).toBe(6)
  })

  it('knows a conversation, and one resource of it', async () => {
    const [alice, bob, carol] = [await someAccount(db.store), await someAccount(db.store), await someAccount(db.store)]
    await append([
      someMessage(alice.id, bob.id, { device: 'phone' }),
      someMessage(carol.id, bob.id),
      someMessage(bob.id, alice.id, { device: 'desk', toResource: 'phone' }),
      someMessage(alice.id, bob.id, { device: 'tablet' }),
      someMessage(bob.id, alice.id, { device: 'phone' }),
    ])
    expect(await seqs(bob.id, { peer: alice.id })).toEqual([1, 3, 4, 5])
    expect(await seqs(bob.id, { peer: alice.id, resource: 'phone' })).toEqual([1, 3])
    expect(await seqs(bob.id, { peer: alice.id, seqs: [2, 4, 5] })).toEqual([4, 5])
    expect(await seqs(bob.id, { seqs: [5, 2] })).toEqual([2, 5])
    expect(await db.store.archiveQueries.count(bob.id, { ...everything, peer: alice.id })).toBe(4)
  })

  it('cuts a page short that would be too large, but never below one', async () => {
    const [alice, bob] = [await someAccount(db.store), await someAccount(db.store)]
    const body = { format: 'json', text: 'x'.repeat(10_000) } as const
    await append(Array.from({ length: 5 }, () => someMessage(alice.id, bob.id, { body })))
    expect(await seqs(bob.id, { maxBytes: 25_000 })).toEqual([1, 2])
    const { rows, hasMore } = await db.store.archiveQueries.page(bob.id, { ...everything, maxBytes: 10 })
    expect([rows.length, hasMore]).toEqual([1, true])
  })

  it('reads by index, whatever the page', async () => {
    const { bob, alice } = await conversation([200])
    const plan = await db.sql<{ 'QUERY PLAN': string }>(
      `EXPLAIN SELECT FROM archive AS a JOIN messages AS m ON m.id = a.message
       WHERE a.owner = ${bob.id} AND a.seq > 5 AND a.peer = ${alice.id} ORDER BY a.seq LIMIT 10`,
    )
    expect(plan.map((row) => row['QUERY PLAN']).join('\n')).not.toContain('Seq Scan')
  })
})
