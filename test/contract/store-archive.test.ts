// Reading the log (DESIGN §5: positions, history, the account position).
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type StoreUnderTest, someAccount, someMessage, storeKinds } from '../helpers/store.ts'

describe.each(storeKinds)('archive on $name', ({ create }) => {
  let db: StoreUnderTest
  beforeAll(async () => {
    db = await create()
  })
  afterAll(() => db.close())

  it('reads on from a position, oldest first, with both names', async () => {
    const { archive } = db.store
    const [alice, bob] = [await someAccount(db.store), await someAccount(db.store)]
    await archive.append(Array.from({ length: 5 }, () => someMessage(alice.id, bob.id)))
    const rows = await archive.read(bob.id, 1, 3)
    expect(rows.map(({ seq }) => seq)).toEqual([2, 3, 4])
    expect(rows[0]).toMatchObject({ owner: bob.id, senderName: alice.name, receiverName: bob.name })
    expect(await archive.read(bob.id, 5, 3)).toEqual([])
  })

  it('has an empty log for a new account, and none for an unknown one', async () => {
    const { archive } = db.store
    const alice = await someAccount(db.store)
    expect(await archive.head(alice.id)).toBe(0)
    expect(await archive.backlogStart(alice.id, 200)).toBe(0)
    expect(await archive.head(999_999_999)).toBe(0)
    expect(await archive.backlogStart(999_999_999, 200)).toBe(0)
  })

  const taken = (owner: number, seq: number, since = 0) => ({ owner, since, seq })

  it('raises account positions, several at once, and never lowers them', async () => {
    const { archive } = db.store
    const [alice, bob] = [await someAccount(db.store), await someAccount(db.store)]
    await archive.savePositions([])
    await archive.savePositions([taken(bob.id, 5), taken(alice.id, 7)])
    await archive.savePositions([taken(alice.id, 3), taken(bob.id, 6)])
    expect(await archive.backlogStart(alice.id, 10)).toBe(7)
    expect(await archive.backlogStart(bob.id, 10)).toBe(6)
  })

  it('starts a backlog so that at most the wished number of received messages and invites follows', async () => {
    const { archive } = db.store
    const [alice, bob] = [await someAccount(db.store), await someAccount(db.store)]
    await archive.append([
      someMessage(alice.id, bob.id), // 1
      someMessage(bob.id, alice.id), // 2
      someMessage(alice.id, bob.id, { kind: 'invite' }), // 3
      someMessage(alice.id, bob.id, { kind: 'react' }), // 4
      someMessage(alice.id, bob.id), // 5
      someMessage(bob.id, alice.id), // 6
      someMessage(alice.id, bob.id), // 7
    ])
    expect(await archive.backlogStart(bob.id, 10)).toBe(0)
    expect(await archive.backlogStart(bob.id, 4)).toBe(0)
    expect(await archive.backlogStart(bob.id, 3)).toBe(1)
    expect(await archive.backlogStart(bob.id, 1)).toBe(5)
    await archive.savePositions([taken(bob.id, 4)])
    expect(await archive.backlogStart(bob.id, 3)).toBe(4)
    expect(await archive.backlogStart(bob.id, 1)).toBe(5)
  })

  it('keeps an account position where it is while what came before the device was not taken by anyone', async () => {
    const { archive } = db.store
    const [alice, bob] = [await someAccount(db.store), await someAccount(db.store)]
    await archive.append([
      someMessage(bob.id, alice.id), // 1
      someMessage(alice.id, bob.id), // 2
      someMessage(alice.id, bob.id), // 3
      someMessage(alice.id, bob.id), // 4
    ])
    await archive.savePositions([taken(bob.id, 3, 2)])
    expect(await archive.backlogStart(bob.id, 10)).toBe(0)
    // What it has sent itself is no gap.
    await archive.savePositions([taken(bob.id, 2, 1)])
    expect(await archive.backlogStart(bob.id, 10)).toBe(2)
    await archive.savePositions([taken(bob.id, 4, 2)])
    expect(await archive.backlogStart(bob.id, 10)).toBe(4)
  })
})
