// The end of an account: what stays of it, and what goes.
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { BrokerError } from '../../broker/errors.ts'
import { type StoreUnderTest, someAccount, someMessage, someVerifiers, storeKinds } from '../helpers/store.ts'

const plainFilter = {
  qos: 1,
  noLocal: false,
  retainAsPublished: false,
  subscriptionId: 0,
  position: null,
} as const

describe.each(storeKinds)('deleted accounts on $name', ({ create }) => {
  let db: StoreUnderTest
  beforeAll(async () => {
    db = await create()
  })
  afterAll(() => db.close())

  const pair = async () => [await someAccount(db.store), await someAccount(db.store)] as const

  it('cannot be found any more, and their names are not given out again', async () => {
    const { accounts, changes } = db.store
    const [{ id, name, ...account }] = await pair()
    const before = await changes.last('accounts')
    expect(await accounts.remove(name)).toBe(true)
    expect(await accounts.byName(name)).toBeNull()
    expect(await accounts.byId(id)).toBeNull()
    expect(await accounts.idOf(name)).toBe(id)
    expect(await accounts.setVerifiers(name, someVerifiers())).toBeNull()
    expect(await accounts.create({ ...account, name })).toBeNull()
    expect(await accounts.remove(name)).toBe(false)
    expect(await accounts.remove('nobody-of-that-name')).toBe(false)
    expect(await changes.since('accounts', before)).toEqual([
      { n: before + 1, detail: { account: id, what: 'deleted', name, contacts: [] } },
    ])
    const rows = await db.sql('SELECT scram_sha_1, scram_sha_256 FROM accounts WHERE id = $1', [id])
    expect(rows).toEqual([{ scram_sha_1: '', scram_sha_256: '' }])
  })

  it('stay by name in what others have of them; their own log goes', async () => {
    const { archive, accounts } = db.store
    const [alice, bob] = await pair()
    await archive.append([
      someMessage(alice.id, bob.id),
      someMessage(bob.id, alice.id),
      someMessage(alice.id, alice.id),
    ])
    await accounts.remove(alice.name)
    const rows = await archive.read(bob.id, 0, 10)
    expect(rows.map(({ senderName, receiverName }) => [senderName, receiverName])).toEqual([
      [alice.name, bob.name],
      [bob.name, alice.name],
    ])
    expect(await archive.read(alice.id, 0, 10)).toEqual([])
    const toOneself = await db.sql('SELECT FROM messages WHERE sender = $1 AND receiver = $1', [alice.id])
    expect(toOneself).toEqual([])
  })

  it('leave no message behind when the other end is gone, too', async () => {
    const { archive, accounts } = db.store
    const [alice, bob] = await pair()
    await archive.append(Array.from({ length: 6_000 }, () => someMessage(alice.id, bob.id)))
    await accounts.remove(alice.name)
    await accounts.remove(bob.name)
    expect(await db.sql('SELECT FROM messages WHERE sender = $1', [alice.id])).toEqual([])
    expect(await db.sql('SELECT FROM archive WHERE owner = ANY ($1)', [[alice.id, bob.id]])).toEqual([])
  })

  it('get and send nothing more, though the rest of a batch is stored', async () => {
    const { archive, accounts } = db.store
    const [alice, bob] = await pair()
    await accounts.remove(alice.name)
    const outcomes = await archive.append([
      someMessage(bob.id, bob.id),
      someMessage(bob.id, alice.id),
      someMessage(alice.id, bob.id),
      someMessage(bob.id, bob.id),
    ])
    const refused = { code: 'refused' }
    expect(outcomes).toMatchObject([{ repeated: false }, refused, refused, { repeated: false }])
    expect(outcomes[1]).toBeInstanceOf(BrokerError)
    expect((await archive.read(bob.id, 0, 10)).map(({ seq }) => seq)).toEqual([1, 2])
  })

  it('take their sessions, subscriptions, queues, logins and contacts with them', async () => {
    const { sessions, queues, accounts } = db.store
    const [alice, bob] = await pair()
    const { id } = await sessions.open({
      account: alice.id,
      clientId: 'phone',
      expiryInterval: 60,
      clean: false,
      will: null,
    })
    await sessions.subscribe(id, 1, [
      { filter: 'a/#', qos: 1, noLocal: false, retainAsPublished: false, subscriptionId: 0, position: null },
    ])
    const references = [{ session: id, qos: 1 as const, retain: false, subscriptionIds: [], share: '' }]
    const body = { topic: 'a/b', payload: Buffer.from('x'), properties: Buffer.alloc(0), expiresAt: null }
    await queues.append([{ position: 70_001, ...body, references }], [])
    const item = "'', '{}', 'both', false, NULL, false, true"
    for (const [owner, contact] of [
      [alice, bob],
      [bob, alice],
    ] as const) {
      await db.sql('INSERT INTO rosters (owner) VALUES ($1)', [owner.id])
      await db.sql(
        `INSERT INTO roster_items (owner, address, contact, name, groups, subscription, ask, request, approved, listed)
        VALUES ($1, $2, $3, ${item})`,
        [owner.id, `${contact.name}@localhost`, contact.id],
      )
    }
    const before = await db.store.changes.last('accounts')
    await accounts.remove(alice.name)
    expect(await db.store.changes.since('accounts', before)).toMatchObject([
      { detail: { account: alice.id, contacts: [{ id: bob.id, name: bob.name, subscription: 'both' }] } },
    ])
    expect((await sessions.all()).some((session) => session.account === alice.id)).toBe(false)
    expect(await db.sql('SELECT FROM subscriptions WHERE session = $1', [id])).toEqual([])
    expect(await db.sql('SELECT FROM queue_bodies WHERE position = 70001')).toEqual([])
    expect(await db.sql('SELECT FROM rosters WHERE owner = $1', [alice.id])).toEqual([])
    expect(await db.store.rosters.read(bob.id)).toMatchObject({
      version: 1,
      items: [{ address: `${alice.name}@localhost`, contact: null, subscription: 'none' }],
    })
  })

  it('are out of reach before their log is, which goes later, by and by when that was interrupted', async () => {
    const { archive, accounts } = db.store
    const [alice, bob] = await pair()
    await archive.append([someMessage(alice.id, bob.id)])
    const [buried, other] = [await accounts.bury(alice.name), await accounts.bury(bob.name)]
    expect([buried?.wasThere, await accounts.byName(alice.name)]).toEqual([true, null])
    const left = ({ id }: { id: number }) => db.sql('SELECT seq FROM archive WHERE owner = $1', [id])
    expect(await left(alice)).toHaveLength(1)
    await buried?.purge()
    expect(await left(alice)).toEqual([])
    await db.store.prune()
    expect([other?.wasThere, (await left(bob)).length]).toEqual([true, 1])
    await db.sql(`UPDATE accounts SET deleted_at = now() - interval '2 hours' WHERE id = $1`, [bob.id])
    await db.store.prune()
    expect(await left(bob)).toEqual([])
    expect(await accounts.bury('nobody-of-that-name')).toBeNull()
  })

  it('and the writes of their sessions never wait for each other in a circle', async () => {
    const { sessions, accounts } = db.store
    for (let round = 0; round < 20; round++) {
      const [{ id: account, name }] = await pair()
      const opened: number[] = []
      for (let i = 0; i < 8; i++) {
        const opening = { account, clientId: `c${i}`, expiryInterval: 60, clean: false, will: null }
        opened.push((await sessions.open(opening)).id)
      }
      const filters = opened.map((_, i) => ({ ...plainFilter, filter: `f/${i}` }))
      for (const id of opened) await sessions.subscribe(id, 1, filters)
      const again = () => opened.toReversed().map((id) => sessions.subscribe(id, 1, filters))
      await Promise.all([
        ...again(),
        sessions.remove(opened.slice(0, 4).toReversed()),
        accounts.remove(name),
        ...again(),
      ])
      expect(await db.sql('SELECT FROM subscriptions WHERE session = ANY ($1)', [opened])).toEqual([])
    }
  })

  it('are not listed; the others are, page by page', async () => {
    const { accounts } = db.store
    const [alice, bob] = await pair()
    await accounts.remove(alice.name)
    const names: string[] = []
    for (let page = await accounts.list('', 2); page.length > 0; page = await accounts.list(names.at(-1) ?? '', 2)) {
      names.push(...page.map(({ name }) => name))
    }
    expect(names).toEqual([...names].sort())
    expect(names).toContain(bob.name)
    expect(names).not.toContain(alice.name)
  })
})
