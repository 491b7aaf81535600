import { expect, it } from 'vitest'
import { someAccount, someMessage, storeKinds } from '../helpers/store.ts'

it.each(storeKinds)('what is of no use any more goes, what is stays, on $name', async ({ create }) => {
  const db = await create()
  const { accounts, archive, queues } = db.store
  const [alice, bob] = [await someAccount(db.store), await someAccount(db.store)]
  await archive.append(
    ['old', 'new'].map((oid) => ({ ...someMessage(alice.id, bob.id), oid, hash: Buffer.alloc(32), strictOid: true })),
  )
  const of = { payload: Buffer.from('x'), properties: Buffer.alloc(0), qos: 1 } as const
  const retained = [
    { ...of, topic: 'prune/over', expiresAt: Date.now() - 1000 },
    { ...of, topic: 'prune/later', expiresAt: Date.now() + 3_600_000 },
    { ...of, topic: 'prune/never', expiresAt: null },
  ]
  await queues.append([], retained)
  const weekOld = (table: string) => `UPDATE ${table} SET at = now() - interval '8 days' WHERE`
  await db.sql(`${weekOld('oids')} oid = sha256('old')`)
  await db.sql(`${weekOld('oid_claims')} oid = sha256('old')`)
  await db.sql(`${weekOld('changes')} n = 1`)
  await accounts.remove(bob.name)

  await db.store.prune()
  const count = async (from: string) => (await db.sql<{ n: number }>(`SELECT count(*)::int AS n FROM ${from}`))[0]?.n
  expect(await count(`oids WHERE sender = ${alice.id}`)).toBe(1)
  expect(await count(`oid_claims WHERE sender = ${alice.id}`)).toBe(1)
  expect(await count('changes WHERE n = 1')).toBe(0)
  expect(await count('changes')).toBeGreaterThan(0)
  expect((await queues.retained()).map(({ topic }) => topic).toSorted()).toEqual(['prune/later', 'prune/never'])
  await db.close()
})
