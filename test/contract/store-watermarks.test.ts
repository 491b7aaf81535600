// DESIGN §2: receipts and read markers, a watermark per (conversation, account), the newest wins.
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Account, Raising } from '../../broker/stores.ts'
import { createUuid } from '../../broker/uuid.ts'
import { type StoreUnderTest, someAccount, someMessage, storeKinds } from '../helpers/store.ts'

describe.each(storeKinds)('watermarks on $name', ({ create }) => {
  let db: StoreUnderTest
  let n = 0
  beforeAll(async () => {
    db = await create()
  })
  afterAll(() => db.close())

  /** A conversation of which Bob has got some messages from Alice, each at a time of its own. */
  async function conversation(count: number) {
    const [alice, bob] = [await someAccount(db.store), await someAccount(db.store)]
    const ids: string[] = []
    for (let i = 0; i < count; i++) {
      const message = someMessage(alice.id, bob.id, { xid: `x${i}` })
      await db.store.archive.append([message])
      ids.push(message.id)
    }
    return { alice, bob, ids }
  }

  const raising = (
    account: Account,
    peer: Account,
    ref: Raising['ref'],
    kind: Raising['kind'] = 'marker',
  ): Raising => ({
    ...{ n: ++n, id: createUuid(), kind, account: account.id, peer: peer.id, ref },
  })
  const raise = async (one: Raising) => (await db.store.watermarks.raise([one]))[0] ?? null
  const shown = async ({ id }: Account, after = 0) =>
    (await db.store.watermarks.read(id, after, 10)).map((row) => [row.kind, row.account, row.message, row.n])

  it('tells both ends of a marker, the sender only of a receipt, with the XMPP id of the message', async () => {
    const { alice, bob, ids } = await conversation(1)
    const [id = ''] = ids
    const marker = await raise(raising(bob, alice, { id }))
    expect(marker).toMatchObject({ message: id, xid: 'x0', at: expect.any(Number) })
    expect([...(marker?.owners ?? [])].toSorted()).toEqual([alice.id, bob.id].toSorted())
    const receipt = await raise(raising(bob, alice, { id }, 'receipt'))
    expect(receipt?.owners).toEqual([alice.id])
    expect(await shown(alice)).toEqual([
      ['marker', bob.id, id, n - 1],
      ['receipt', bob.id, id, n],
    ])
    expect(await shown(bob)).toEqual([['marker', bob.id, id, n - 1]])
    expect(await shown(alice, n - 1)).toHaveLength(1)
    expect((await db.store.watermarks.read(alice.id, 0, 1))[0]).toMatchObject({
      ...{ ownerName: alice.name, peer: bob.id, peerName: bob.name, xid: 'x0' },
    })
  })

  it('goes up only, in a batch and across batches', async () => {
    const { alice, bob, ids } = await conversation(3)
    const [first = '', second = '', third = ''] = ids
    const batch = [second, third, first].map((id) => raising(bob, alice, { id }))
    const outcomes = await db.store.watermarks.raise(batch)
    expect(outcomes.map((outcome) => outcome?.message)).toEqual([second, third, first])
    expect(outcomes.map((outcome) => outcome?.owners.length)).toEqual([0, 2, 0])
    expect(await raise(raising(bob, alice, { id: first }))).toMatchObject({ owners: [] })
    expect(await raise(raising(bob, alice, { id: third }))).toMatchObject({ owners: [] })
    expect(await shown(alice)).toEqual([['marker', bob.id, third, batch[1]?.n]])
  })

  it('answers a repeat of the same batch as it did the first time', async () => {
    const { alice, bob, ids } = await conversation(1)
    const batch = [raising(bob, alice, { id: ids[0] ?? '' })]
    const sorted = async () => [...((await db.store.watermarks.raise(batch))[0]?.owners ?? [])].toSorted()
    expect(await sorted()).toEqual([alice.id, bob.id].toSorted())
    expect(await sorted()).toEqual([alice.id, bob.id].toSorted())
  })

  it('finds what XMPP names by its XMPP id, its origin id or its id, only in this conversation and from the peer', async () => {
    const { alice, bob, ids } = await conversation(2)
    const other = await conversation(1)
    for (const xid of ['x1', ids[1] ?? '']) {
      expect(await raise(raising(bob, alice, { xid }))).toMatchObject({ message: ids[1] })
    }
    for (const ref of [{ xid: 'x9' }, { id: 'x1' }, { id: other.ids[0] ?? '' }, { id: createUuid() }, { id: '' }])
      expect(await raise(raising(bob, alice, ref))).toBeNull()
    // Alice cannot mark what she has sent herself.
    expect(await raise(raising(alice, bob, { id: ids[0] ?? '' }))).toBeNull()
  })

  it('of notes to oneself is one row; goes with the account that it was for; the last place is known', async () => {
    const { alice, bob, ids } = await conversation(1)
    const note = someMessage(bob.id, bob.id)
    await db.store.archive.append([note])
    expect((await raise(raising(bob, bob, { id: note.id })))?.owners).toEqual([bob.id])
    await raise(raising(bob, alice, { id: ids[0] ?? '' }))
    expect(await db.store.watermarks.lastPosition()).toBe(n)
    expect(await db.store.watermarks.raise([])).toEqual([])
    await db.store.accounts.remove(bob.name)
    expect(await db.sql('SELECT 1 FROM watermarks WHERE owner = $1', [bob.id])).toEqual([])
    expect((await db.store.watermarks.read(alice.id, 0, 10)).map((row) => row.peerName)).toEqual([bob.name])
  })
})
