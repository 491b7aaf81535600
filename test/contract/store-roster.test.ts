// Contacts: both ends of a subscription, versions, and changes at the same time.
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Account, RosterEnd, RosterItem } from '../../broker/stores.ts'
import { type StoreUnderTest, someAccount, storeKinds } from '../helpers/store.ts'

const addressOf = ({ name }: Account) => `${name}@localhost`
const endOf = (owner: Account, about: Account): RosterEnd => ({
  owner: owner.id,
  address: addressOf(about),
  contact: about.id,
})
const itemOf = (about: Account, fields: Partial<RosterItem> = {}): RosterItem => ({
  address: addressOf(about),
  contact: about.id,
  name: '',
  groups: [],
  subscription: 'none',
  ask: false,
  request: null,
  approved: false,
  listed: true,
  ...fields,
})

describe.each(storeKinds)('rosters on $name', ({ create }) => {
  let db: StoreUnderTest
  beforeAll(async () => {
    db = await create()
  })
  afterAll(() => db.close())

  async function pair(): Promise<readonly [Account, Account]> {
    return [await someAccount(db.store), await someAccount(db.store)]
  }

  it('is empty at version 0 until something is stored', async () => {
    const [alice] = await pair()
    expect(await db.store.rosters.read(alice.id)).toEqual({ version: 0, items: [] })
  })

  it('keeps both ends of a change, each in its own roster and version', async () => {
    const [alice, bob] = await pair()
    const own = itemOf(bob, { name: 'Bob "☺"', groups: ['a, b', '{}'], subscription: 'to', ask: true, approved: true })
    const theirs = itemOf(alice, { subscription: 'from', request: '<status>hi</status>', listed: false })
    const ends = [endOf(alice, bob), endOf(bob, alice)] as const
    const changed = await db.store.rosters.change(...ends, (found) => {
      expect(found).toEqual({ own: null, theirs: null })
      return { own, theirs }
    })
    expect(changed).toEqual({
      before: { own: null, theirs: null },
      after: { own, theirs },
      versions: { own: 1, theirs: 1 },
    })
    expect(await db.store.rosters.read(alice.id)).toEqual({ version: 1, items: [own] })
    expect(await db.store.rosters.read(bob.id)).toEqual({ version: 1, items: [theirs] })
    const again = await db.store.rosters.change(...ends, (found) => {
      expect(found).toEqual({ own, theirs })
      return { own: found.own, theirs: null }
    })
    expect(again.versions).toEqual({ own: 1, theirs: 2 })
    expect(await db.store.rosters.read(bob.id)).toEqual({ version: 2, items: [] })
  })

  it('keeps an item about nobody of this server, and lists by address', async () => {
    const [alice, bob] = await pair()
    const foreign = { ...itemOf(bob), address: 'a@elsewhere.example', contact: null }
    const end = { owner: alice.id, address: foreign.address, contact: null }
    const changed = await db.store.rosters.change(end, null, () => ({ own: foreign, theirs: null }))
    expect(changed.versions).toEqual({ own: 1, theirs: 0 })
    await db.store.rosters.change(endOf(alice, bob), null, () => ({ own: itemOf(bob), theirs: null }))
    const { items } = await db.store.rosters.read(alice.id)
    expect(items.map(({ address }) => address)).toEqual([foreign.address, addressOf(bob)])
  })

  it('writes nothing of a change that fails half-way', async () => {
    const [alice, bob] = await pair()
    const ends = [endOf(alice, bob), endOf(bob, alice)] as const
    const wrong = { ...itemOf(alice), subscription: 'sideways' } as unknown as RosterItem
    await expect(db.store.rosters.change(...ends, () => ({ own: itemOf(bob), theirs: wrong }))).rejects.toThrow()
    await expect(
      db.store.rosters.change(...ends, () => {
        throw new Error('undecided')
      }),
    ).rejects.toThrow('undecided')
    expect(await db.store.rosters.read(alice.id)).toEqual({ version: 0, items: [] })
  })

  it('loses no change when both ends change at once, from several processes', async () => {
    const [alice, bob] = await pair()
    const other = await db.open()
    const turns = Array.from({ length: 20 }, (_, n) => {
      const ends = n % 2 ? [endOf(alice, bob), endOf(bob, alice)] : [endOf(bob, alice), endOf(alice, bob)]
      const [own, theirs] = ends as [RosterEnd, RosterEnd]
      const about = n % 2 ? [bob, alice] : [alice, bob]
      const [first, second] = about as [Account, Account]
      const add = (item: RosterItem | null, who: Account) =>
        itemOf(who, { groups: [...(item?.groups ?? []), String(n)] })
      const { rosters } = n % 4 < 2 ? db.store : other
      return rosters.change(own, theirs, (found) => ({
        own: add(found.own, first),
        theirs: add(found.theirs, second),
      }))
    })
    await Promise.all(turns)
    for (const { id } of [alice, bob]) {
      const { version, items } = await db.store.rosters.read(id)
      expect(version).toBe(20)
      expect(new Set(items[0]?.groups).size).toBe(20)
    }
  })

  it('goes with its account, and with the contact’s', async () => {
    const [alice, bob] = await pair()
    await db.store.rosters.change(endOf(alice, bob), endOf(bob, alice), () => ({
      own: itemOf(bob),
      theirs: itemOf(alice),
    }))
    await db.sql('DELETE FROM accounts WHERE id = $1', [bob.id])
    expect((await db.store.rosters.read(alice.id)).items).toEqual([])
    expect(await db.sql('SELECT FROM roster_items WHERE owner = $1', [bob.id])).toEqual([])
  })
})
