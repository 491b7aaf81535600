// DESIGN §4: idempotency keys that a REST client may not use for other content.
import { createHash } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { BrokerError } from '../../broker/errors.ts'
import type { Appended, Appending, Store } from '../../broker/stores.ts'
import { type StoreUnderTest, someAccount, someMessage, storeKinds } from '../helpers/store.ts'

describe.each(storeKinds)('strict keys on $name', ({ create }) => {
  let db: StoreUnderTest
  beforeAll(async () => {
    db = await create()
  })
  afterAll(() => db.close())

  async function pair() {
    const [alice, bob] = await Promise.all([someAccount(db.store), someAccount(db.store)])
    const message = (content: string, strictOid = true): Appending =>
      someMessage(alice.id, bob.id, { oid: 'c1', hash: hashOf(content), strictOid })
    return { alice: alice.id, message }
  }

  it('refuses a key that was used for other content, and stores nothing of it', async () => {
    const { alice, message } = await pair()
    const [first, other] = await outcomes(db.store, [message('one'), message('two')])
    expect([first, other]).toEqual(['new', 'key-reused'])
    expect(await outcomes(db.store, [message('two'), message('one'), message('three')])).toEqual([
      'key-reused',
      'repeat',
      'key-reused',
    ])
    expect(await db.store.archive.head(alice)).toBe(1)
  })

  it('knows a repeat across protocols, and other content that came without strictness', async () => {
    const { message } = await pair()
    expect(await outcomes(db.store, [message('one', false)])).toEqual(['new'])
    expect(await outcomes(db.store, [message('one'), message('two'), message('two', false)])).toEqual([
      'repeat',
      'key-reused',
      'new',
    ])
    expect(await outcomes(db.store, [message('two'), message('one', false)])).toEqual(['repeat', 'repeat'])
  })

  it('frees a key after 7 days', async () => {
    const { alice, message } = await pair()
    await outcomes(db.store, [message('one')])
    for (const table of ['oids', 'oid_claims'])
      await db.sql(`UPDATE ${table} SET at = now() - interval '7 days 1 second' WHERE sender = $1`, [alice])
    expect(await outcomes(db.store, [message('two')])).toEqual(['new'])
    expect(await outcomes(db.store, [message('two'), message('one')])).toEqual(['repeat', 'key-reused'])
  })

  it('answers a batch that comes again, its outcome unknown, as the first time', async () => {
    const { message } = await pair()
    const batch = [message('one'), message('two'), message('one')]
    const first = await db.store.archive.append(batch)
    const again = await db.store.archive.append(batch)
    expect(again.map(told)).toEqual(first.map(told))
  })

  it('gives a key to one content when many writers use it at once, and every repeat the id of that one', async () => {
    const { alice } = await pair()
    const bob = await someAccount(db.store)
    const stores = [db.store, await db.open(), await db.open(), await db.open()]
    const winners = new Map<string, Set<string>>()
    const writer = async (store: Store, n: number) => {
      for (let turn = 0; turn < 25; turn++) {
        // Each key is used by all writers at the same time, with two contents; in orders that differ.
        const batch = Array.from({ length: 8 }, (_, at) => {
          const oid = `k${turn}-${(at + n * 3) % 8}`
          return someMessage(alice, bob.id, { oid, hash: hashOf(n % 2 ? 'odd' : 'even'), strictOid: true })
        })
        for (const [at, outcome] of (await store.archive.append(batch)).entries()) {
          if (outcome instanceof Error) expect(outcome).toMatchObject({ code: 'key-reused' })
          else winners.set(batch[at]?.oid ?? '', (winners.get(batch[at]?.oid ?? '') ?? new Set()).add(outcome.id))
        }
      }
    }
    await Promise.all(stores.map(writer))
    expect(winners.size).toBe(200)
    for (const ids of winners.values()) expect(ids.size).toBe(1)
    expect(await db.store.archive.head(alice)).toBe(200)
  })
})

async function outcomes(store: Store, batch: readonly Appending[]): Promise<string[]> {
  return (await store.archive.append(batch)).map(kindOf)
}

function kindOf(outcome: Appended | Error): string {
  if (outcome instanceof BrokerError) return outcome.code
  if (outcome instanceof Error) throw outcome
  return outcome.repeated ? 'repeat' : 'new'
}

function told(outcome: Appended | Error) {
  return outcome instanceof Error ? outcome.message : [outcome.id, outcome.ts, outcome.repeated]
}

function hashOf(text: string): Buffer {
  return createHash('sha256').update(text).digest()
}
