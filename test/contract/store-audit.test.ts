import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { AuditRow } from '../../broker/stores.ts'
import { createUuid } from '../../broker/uuid.ts'
import { type StoreUnderTest, storeKinds } from '../helpers/store.ts'

describe.each(storeKinds)('the audit trail on $name', ({ create }) => {
  let db: StoreUnderTest
  beforeAll(async () => {
    db = await create()
  })
  afterAll(() => db.close())

  function someRow(fields: Partial<AuditRow> = {}): AuditRow {
    const who = { account: 5, name: 'älice "x", {y}', address: '192.0.2.1', target: null }
    return { id: createUuid(), at: 1_700_000_000_123, action: 'test', border: 'http', ...who, detail: {}, ...fields }
  }
  const all = { before: null, limit: 100, action: null, name: null }

  it('gives back what it was given, newest first, in pages', async () => {
    const rows = Array.from({ length: 5 }, (_, n) => someRow({ action: 'page', detail: { n, 'a"': '{,}' } }))
    await db.store.audit.append(rows)
    const newest = await db.store.audit.read({ ...all, action: 'page', limit: 2 })
    expect(newest.map(({ n: _n, ...row }) => row)).toEqual([rows[4], rows[3]])
    const rest = await db.store.audit.read({ ...all, action: 'page', before: newest[1]?.n ?? 0 })
    expect(rest.map(({ id }) => id)).toEqual([rows[2]?.id, rows[1]?.id, rows[0]?.id])
  })

  it('finds by action, by name, by both, and nulls are kept', async () => {
    const name = crypto.randomUUID()
    const rows = [someRow({ name, action: 'a' }), someRow({ name, action: 'b' }), someRow({ name: null, action: 'a' })]
    await db.store.audit.append(rows)
    const ids = async (action: string | null, of: string | null) =>
      (await db.store.audit.read({ ...all, action, name: of })).map(({ id }) => id)
    expect(await ids('a', null)).toEqual([rows[2]?.id, rows[0]?.id])
    expect(await ids(null, name)).toEqual([rows[1]?.id, rows[0]?.id])
    expect(await ids('a', name)).toEqual([rows[0]?.id])
    expect((await db.store.audit.read({ ...all, limit: 1 }))[0]).toMatchObject({ name: null, id: rows[2]?.id })
  })

  it('writes a row once, however often it comes', async () => {
    const row = someRow({ action: 'once' })
    await db.store.audit.append([row])
    await db.store.audit.append([row, someRow({ action: 'once' })])
    await db.store.audit.append([])
    expect(await db.store.audit.read({ ...all, action: 'once' })).toHaveLength(2)
  })

  it('removes what is older than asked', async () => {
    await db.store.audit.append([someRow({ action: 'old', at: 1000 }), someRow({ action: 'old', at: 2000 })])
    await db.store.audit.prune(2000)
    expect((await db.store.audit.read({ ...all, action: 'old' })).map(({ at }) => at)).toEqual([2000])
  })
})
