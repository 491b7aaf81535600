import { createHash, randomUUID } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type StoreUnderTest, someAccount, someVerifiers, storeKinds } from '../helpers/store.ts'

const day = 24 * 3600

describe.each(storeKinds)('logins on $name', ({ create }) => {
  let db: StoreUnderTest
  beforeAll(async () => {
    db = await create()
  })
  afterAll(() => db.close())

  async function opened() {
    const { id: account, name, credentialVersion } = await someAccount(db.store)
    const login = { session: randomUUID(), account, credentialVersion }
    await db.store.refreshTokens.open(login, hashOf('a'), day)
    return { ...login, name }
  }
  const rotate = (session: string, from: string, to: string, store = db.store) =>
    store.refreshTokens.rotate(session, hashOf(from), hashOf(to), day)

  it('exchanges the hash that is good for the next one', async () => {
    const login = await opened()
    expect(await rotate(login.session, 'a', 'b')).toEqual({ login, reused: false })
    expect(await rotate(login.session, 'b', 'c')).toEqual({ login, reused: false })
  })

  it('ends the login when an older hash comes back', async () => {
    const login = await opened()
    await rotate(login.session, 'a', 'b')
    expect(await rotate(login.session, 'a', 'x')).toEqual({ login, reused: true })
    expect(await rotate(login.session, 'b', 'c')).toBeNull()
    expect(await db.store.refreshTokens.endedWithin(60)).toContain(login.session)
  })

  it('lets one of many at once through', async () => {
    const login = await opened()
    const stores = [db.store, await db.open(), await db.open()]
    const outcomes = await Promise.all(
      Array.from({ length: 12 }, (_, n) => rotate(login.session, 'a', `b${n}`, stores[n % 3])),
    )
    expect(outcomes.filter((outcome) => outcome?.reused === false)).toHaveLength(1)
    expect(await rotate(login.session, 'a', 'x')).toBeNull()
  })

  it('knows nothing of a login that is unknown, expired, or of an earlier password', async () => {
    expect(await rotate(randomUUID(), 'a', 'b')).toBeNull()
    const expired = await opened()
    await db.sql(`UPDATE login_sessions SET expires_at = now() WHERE id = $1`, [expired.session])
    expect(await rotate(expired.session, 'a', 'b')).toBeNull()
    const earlier = await opened()
    await db.store.accounts.setVerifiers(earlier.name, someVerifiers())
    expect(await rotate(earlier.session, 'a', 'b')).toBeNull()
  })

  it('ends a login once, as a change that others see', async () => {
    const { session, account } = await opened()
    const before = await db.store.changes.last('accounts')
    await db.store.refreshTokens.end(session)
    await db.store.refreshTokens.end(session)
    expect(await db.store.changes.since('accounts', before)).toEqual([
      { n: before + 1, detail: { account, what: 'logout', session } },
    ])
  })

  it('removes what is long over, and nothing else', async () => {
    const [old, live] = [await opened(), await opened()]
    await db.sql(`UPDATE login_sessions SET expires_at = now() - interval '25 hours' WHERE id = $1`, [old.session])
    await db.store.refreshTokens.prune()
    expect(await db.sql('SELECT id FROM login_sessions WHERE id = ANY ($1)', [[old.session, live.session]])).toEqual([
      { id: live.session },
    ])
  })
})

function hashOf(text: string): Buffer {
  return createHash('sha256').update(text).digest()
}
