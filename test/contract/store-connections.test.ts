// What a store does while its connections break.
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { TransientStoreError } from '../../broker/stores.ts'
import { eventually } from '../helpers/eventually.ts'
import { type StoreUnderTest, someAccount, someMessage, storeKinds } from '../helpers/store.ts'

describe.each(storeKinds)('connections on $name', ({ create }) => {
  let db: StoreUnderTest
  beforeAll(async () => {
    db = await create()
  })
  afterAll(() => db.close())

  it('connects anew after its connections were ended; what fails meanwhile may be repeated', async () => {
    const { store } = db
    const { id } = await someAccount(store)
    const session = await store.sessions.open({
      account: 0,
      clientId: crypto.randomUUID(),
      expiryInterval: 60,
      clean: false,
      will: null,
    })
    const message = someMessage(id, id)
    const calls = [
      () => store.ping(),
      () => store.archive.append([message]),
      () => store.queues.append([], []),
      () => store.queues.acknowledge(new Map([[session.id, 0]])),
      () => store.sessions.open({ account: 0, clientId: 'c', expiryInterval: 60, clean: true, will: null }),
    ]
    for (const call of calls) await call()
    await db.sql(
      'SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND datname = current_database()',
    )
    for (const call of calls) {
      await eventually(async () => {
        const fault = await call().then(
          () => null,
          (error: unknown) => error,
        )
        if (fault !== null) expect(fault).toBeInstanceOf(TransientStoreError)
        return fault === null
      })
    }
    expect(await store.archive.read(id, 0, 10)).toHaveLength(1)
  })

  it('lets a statement be repeated that was cancelled while it waited, as by its timeout', async () => {
    const { store } = db
    const { id } = await someAccount(store)
    const message = someMessage(id, id)
    await db.sql('BEGIN')
    await db.sql('SELECT 1 FROM owners WHERE id = $1 FOR UPDATE', [id])
    const waiting = store.archive.append([message]).catch((error: unknown) => error)
    await eventually(async () => {
      await db.sql('SELECT pg_stat_clear_snapshot()')
      const cancelled = await db.sql(
        "SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE wait_event_type = 'Lock'",
      )
      return cancelled.length > 0
    })
    expect(await waiting).toBeInstanceOf(TransientStoreError)
    await db.sql('ROLLBACK')
    const [outcome] = await store.archive.append([message])
    expect(outcome).toMatchObject({ id: message.id, repeated: false, positions: [{ owner: id, seq: 1 }] })
  })

  it('takes nothing any more once it is closed', async () => {
    const store = await db.open()
    const { id } = await someAccount(store)
    await store.close()
    await expect(store.ping()).rejects.toThrow('The store is closed.')
    await expect(store.accounts.byId(id)).rejects.not.toBeInstanceOf(TransientStoreError)
  })
})
