// A server that others run: what is asked of it before it is used.
import { once } from 'node:events'
import { createServer } from 'node:net'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { StoreStartError } from '../../storage/start-error.ts'
import { openExternalStore, type StoreUnderTest, someAccount, storeKinds } from '../helpers/store.ts'

describe.each(storeKinds)('a database by its URL, on $name', ({ create }) => {
  let db: StoreUnderTest
  beforeAll(async () => {
    db = await create()
  })
  afterAll(() => db.close())

  const urlOf = (database: string) => {
    const host = encodeURIComponent(db.config.host ?? '')
    const login = [db.config.user, ...(db.config.password ? [encodeURIComponent(String(db.config.password))] : [])]
    return `postgres://${login.join(':')}@${host}:${db.config.port}/${database}`
  }

  it('is brought up to date, keeps what it was told, and is left running', async () => {
    await db.sql('CREATE DATABASE other')
    const [one, two] = await Promise.all([
      openExternalStore(urlOf('other')),
      openExternalStore(urlOf('other'), 'tool'),
      openExternalStore(urlOf('other'), 'tool').then((store) => store.close()),
    ])
    const { name } = await someAccount(one)
    await expect(openExternalStore(urlOf('other'))).rejects.toThrow('Another ClearBox runs on the database other')
    await one.close()
    expect(await two.accounts.byName(name)).not.toBeNull()
    await two.close()
    await expect(db.store.ping()).resolves.toBeUndefined()
  })

  it('is refused when it is not in UTF-8', async () => {
    await db.sql("CREATE DATABASE ascii TEMPLATE template0 ENCODING 'SQL_ASCII' LOCALE 'C'")
    await expect(openExternalStore(urlOf('ascii'))).rejects.toThrow('not encoded in UTF8')
  })

  it('is refused when it is not there, without its password in the message', async () => {
    const fault = await openExternalStore(urlOf('absent')).catch((error: unknown) => error)
    expect(fault).toBeInstanceOf(StoreStartError)
    expect(String(fault)).toMatch(/CLEARBOX_DATABASE_URL cannot be used: .*absent/)
    const closed = createServer().listen(0, '127.0.0.1')
    await once(closed, 'listening')
    const address = closed.address()
    const port = typeof address === 'object' ? address?.port : 0
    await new Promise((resolve) => closed.close(resolve))
    const refused = await openExternalStore(`postgres://u:secret@127.0.0.1:${port}/x`).catch((error: unknown) => error)
    expect(refused).toBeInstanceOf(StoreStartError)
    expect(String(refused)).toContain('ECONNREFUSED')
    expect(String(refused)).not.toContain('secret')
    await expect(openExternalStore('postgres://u:secret@host:x/y')).rejects.toThrow(StoreStartError)
  })
})
