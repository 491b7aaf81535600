import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { ensureAdmin } from '../../broker/auth/admin.ts'
import { makeVerifiers, matchesVerifiers } from '../../broker/auth/scram.ts'
import { anonymous, createAuthenticator, type RunningAuthenticator } from '../../broker/auth.ts'
import { createLogger } from '../../broker/log.ts'
import { createMetrics } from '../../broker/metrics.ts'
import { eventually } from '../helpers/eventually.ts'
import { openScratchStore, type ScratchStore } from '../helpers/store.ts'

const { counters } = createMetrics()
let scratch: ScratchStore
let auth: RunningAuthenticator

function createAuth(jwtSecret: string | null = null) {
  const { accounts, changes, secrets } = scratch.store
  const logger = createLogger('silent')
  return createAuthenticator({ accounts, changes, secrets, domain: 'example.org', jwtSecret, counters, logger })
}

beforeAll(async () => {
  scratch = await openScratchStore()
  auth = await createAuth()
})
afterAll(async () => {
  await auth.stop()
  await scratch.close()
})

let users = 0
async function makeUser(password = 'secret') {
  const name = `user${++users}`
  const verifiers = await makeVerifiers(password)
  const account = await scratch.store.accounts.create({ name, role: 'user', plainTopics: 'none', verifiers })
  return { name, id: account?.id ?? 0 }
}

async function change(name: string, password: string) {
  await scratch.store.accounts.setVerifiers(name, await makeVerifiers(password))
}

describe('passwords', () => {
  test('every spelling of a name leads to the same live principal', async () => {
    const { name, id } = await makeUser()
    const principal = await auth.password(name, 'secret')
    expect(principal).toEqual({ account: id, name, role: 'user', plainTopics: 'none', epoch: 0 })
    expect(await auth.password(`${name.toUpperCase()}@EXAMPLE.org`, 'secret')).toBe(principal)
    expect((await auth.verifiers(name)).principal).toBe(principal)
  })

  test('a wrong password, an unknown name, another domain and what cannot be a name are one answer, and counted', async () => {
    const { name } = await makeUser()
    await auth.password(name, 'secret')
    const before = counters.loginFailures
    for (const [username, password] of [
      [name, 'wrong'],
      [name, ''],
      ['nobody', 'secret'],
      [`${name}@other.org`, 'secret'],
      ['@', 'secret'],
    ] as const) {
      expect(await auth.password(username, password)).toBeNull()
    }
    expect(counters.loginFailures - before).toBe(5)
  })

  test('DESIGN §3: a flood of logins is refused with overload, and who was right a moment ago is not held up', async () => {
    const { name } = await makeUser()
    const principal = await auth.password(name, 'secret')
    let isOver = false
    const flood = Promise.allSettled(Array.from({ length: 400 }, () => auth.password('nobody', 'guess'))).finally(
      () => {
        isOver = true
      },
    )
    for (let logins = 0; logins < 100; logins++) expect(await auth.password(name, 'secret')).toBe(principal)
    expect(isOver).toBe(false)
    const refused = (await flood).filter((outcome) => outcome.status === 'rejected')
    expect(refused).toHaveLength(400 - 258)
    expect(refused[0]).toMatchObject({ reason: { code: 'overload' } })
  })

  test('RFC 5802: an unknown name has steady verifiers and no principal', async () => {
    const first = await auth.verifiers('ghost')
    expect(first.principal).toBeNull()
    expect(await auth.verifiers('Ghost@example.org')).toEqual(first)
    const other = await createAuth()
    expect(await other.verifiers('ghost')).toEqual(first)
    await other.stop()
  })
})

describe('a change of the password', () => {
  test('ends the connections of the account within a second, raises its epoch and forgets the old password', async () => {
    const { name } = await makeUser()
    const principal = await auth.password(name, 'secret')
    if (!principal) throw new Error('no login')
    const ended: string[] = []
    auth.onEnd(principal, () => {
      ended.push('first')
      throw new Error('a fault in one border')
    })
    auth.onEnd(principal, () => ended.push('second'))
    const undo = auth.onEnd(principal, () => ended.push('gone'))
    undo()
    await change(name, 'better')
    await eventually(() => ended.length > 0, 3000)
    expect(ended).toEqual(['first', 'second'])
    expect(principal.epoch).toBe(1)
    expect(await auth.password(name, 'secret')).toBeNull()
    expect(await auth.password(name, 'better')).toBe(principal)
  })

  test('lets the new password in at once, and ends the connections then', async () => {
    const { name } = await makeUser()
    const principal = await auth.password(name, 'secret')
    if (!principal) throw new Error('no login')
    let ends = 0
    auth.onEnd(principal, () => ends++)
    await change(name, 'better')
    expect(await auth.password(name, 'better')).toBe(principal)
    await auth.refresh()
    expect(ends).toBe(1)
    expect(principal.epoch).toBe(1)
  })

  test('does not concern connections that were made after it', async () => {
    const { name } = await makeUser()
    await change(name, 'better')
    const principal = await auth.password(name, 'better')
    if (!principal) throw new Error('no login')
    let ends = 0
    auth.onEnd(principal, () => ends++)
    await auth.refresh()
    expect(ends).toBe(0)
  })
})

describe('tokens', () => {
  test('a token leads to the principal until the password changes', async () => {
    const { name } = await makeUser()
    const principal = await auth.password(name, 'secret')
    if (!principal) throw new Error('no login')
    const { accessToken } = await auth.issueToken(principal)
    expect(await auth.token(accessToken)).toBe(principal)
    await change(name, 'better')
    await auth.refresh()
    expect(await auth.token(accessToken)).toBeNull()
    expect(await auth.token((await auth.issueToken(principal)).accessToken)).toBe(principal)
  })

  test('another node of the installation takes the token; one with a secret of its own does not', async () => {
    const { name } = await makeUser()
    const principal = await auth.password(name, 'secret')
    if (!principal) throw new Error('no login')
    const { accessToken } = await auth.issueToken(principal)
    const [same, other] = await Promise.all([createAuth(), createAuth('x'.repeat(32))])
    expect(await same.token(accessToken)).toMatchObject({ name })
    expect(await other.token(accessToken)).toBeNull()
    await Promise.all([same.stop(), other.stop()])
  })

  test('anonymous clients have no account: no token, and nothing that ends them', async () => {
    await expect(auth.issueToken(anonymous)).rejects.toMatchObject({ code: 'unauthenticated' })
    auth.onEnd(anonymous, () => expect.unreachable())()
  })
})

test('the first start makes an administrator with a password that is told once', async () => {
  const { accounts } = scratch.store
  const password = await ensureAdmin(accounts, null)
  expect(password).toMatch(/^[a-z2-9]{5}(-[a-z2-9]{5}){3}$/)
  const admin = await accounts.byName('admin')
  if (!admin) throw new Error('no admin')
  expect(admin).toMatchObject({ role: 'admin', plainTopics: 'all' })
  expect(await matchesVerifiers(password ?? '', admin.verifiers)).toBe(true)
  expect(await ensureAdmin(accounts, 'another')).toBeNull()
})
