import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { ensureAdmin } from '../../broker/auth/admin.ts'
import { createExternalTokens } from '../../broker/auth/external-tokens.ts'
import { createLoginGuard } from '../../broker/auth/login-guard.ts'
import { makeVerifiers, matchesVerifiers } from '../../broker/auth/scram.ts'
import { anonymous, createAuthenticator, type RunningAuthenticator } from '../../broker/auth.ts'
import type { Config } from '../../broker/config.ts'
import { createEvents } from '../../broker/events.ts'
import { createLogger } from '../../broker/log.ts'
import { createMetrics } from '../../broker/metrics.ts'
import type { AuditRow } from '../../broker/stores.ts'
import { eventually } from '../helpers/eventually.ts'
import { openScratchStore, type ScratchStore } from '../helpers/store.ts'

const { counters } = createMetrics()
let scratch: ScratchStore
let auth: RunningAuthenticator

const from = { border: 'http', address: '192.0.2.1' } as const
const audited: AuditRow[] = []

const noIssuer = { issuer: null, audience: null, keyFile: null, alg: null, jwks: null, accountClaim: 'sub' }

function createAuth(jwtSecret: string | null = null, tries = 100_000, jwt: Config['auth']['jwt'] = noIssuer) {
  const { accounts, changes, secrets, refreshTokens } = scratch.store
  const logger = createLogger('silent')
  const events = createEvents({ counters, logger, audit: { add: (row) => void audited.push(row) } })
  const guard = createLoginGuard({ tries, addressTries: 100_000, maxWaitSeconds: 60 })
  const external = createExternalTokens({ jwt, domain: 'example.org', logger })
  const stores = { accounts, changes, secrets, refreshTokens }
  return createAuthenticator({ ...stores, domain: 'example.org', jwtSecret, external, guard, events, logger })
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
    const principal = await auth.password(name, 'secret', from)
    expect(principal).toEqual({ account: id, name, role: 'user', plainTopics: 'none', epoch: 0 })
    expect(await auth.password(`${name.toUpperCase()}@EXAMPLE.org`, 'secret', from)).toBe(principal)
    expect((await auth.verifiers(name)).principal).toBe(principal)
  })

  test('a wrong password, an unknown name, another domain and what cannot be a name are one answer, and counted', async () => {
    const { name } = await makeUser()
    await auth.password(name, 'secret', from)
    const before = counters.loginFailures
    for (const [username, password] of [
      [name, 'wrong'],
      [name, ''],
      ['nobody', 'secret'],
      [`${name}@other.org`, 'secret'],
      ['@', 'secret'],
    ] as const) {
      expect(await auth.password(username, password, from)).toBeNull()
    }
    expect(counters.loginFailures - before).toBe(5)
  })

  test('DESIGN §3: a flood of logins is refused with overload, and who was right a moment ago is not held up', async () => {
    const { name } = await makeUser()
    const principal = await auth.password(name, 'secret', from)
    let isOver = false
    const flood = Promise.allSettled(Array.from({ length: 400 }, () => auth.password('nobody', 'guess', from))).finally(
      () => {
        isOver = true
      },
    )
    for (let logins = 0; logins < 100; logins++) expect(await auth.password(name, 'secret', from)).toBe(principal)
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
    const principal = await auth.password(name, 'secret', from)
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
    expect(await auth.password(name, 'secret', from)).toBeNull()
    expect(await auth.password(name, 'better', from)).toBe(principal)
  })

  test('lets the new password in at once, and ends the connections then', async () => {
    const { name } = await makeUser()
    const principal = await auth.password(name, 'secret', from)
    if (!principal) throw new Error('no login')
    let ends = 0
    auth.onEnd(principal, () => ends++)
    await change(name, 'better')
    expect(await auth.password(name, 'better', from)).toBe(principal)
    await auth.refresh()
    expect(ends).toBe(1)
    expect(principal.epoch).toBe(1)
  })

  test('does not concern connections that were made after it', async () => {
    const { name } = await makeUser()
    await change(name, 'better')
    const principal = await auth.password(name, 'better', from)
    if (!principal) throw new Error('no login')
    let ends = 0
    auth.onEnd(principal, () => ends++)
    await auth.refresh()
    expect(ends).toBe(0)
  })
})

async function logIn() {
  const { name } = await makeUser()
  const principal = await auth.password(name, 'secret', from)
  if (!principal) throw new Error('no login')
  return { name, principal, pair: await auth.openLogin(principal) }
}

describe('tokens', () => {
  test('a token leads to the principal until the password changes', async () => {
    const { name, principal, pair } = await logIn()
    expect((await auth.token(pair.accessToken, from))?.principal).toBe(principal)
    await change(name, 'better')
    await auth.refresh()
    expect(await auth.token(pair.accessToken, from)).toBeNull()
    expect(await auth.refreshLogin(pair.refreshToken, from)).toBeNull()
    const { accessToken } = await auth.openLogin(principal)
    expect((await auth.token(accessToken, from))?.principal).toBe(principal)
  })

  test('another node of the installation takes the token; one with a secret of its own does not', async () => {
    const { name, pair } = await logIn()
    const [same, other] = await Promise.all([createAuth(), createAuth('x'.repeat(32))])
    expect(await same.token(pair.accessToken, from)).toMatchObject({ principal: { name } })
    expect(await other.token(pair.accessToken, from)).toBeNull()
    await Promise.all([same.stop(), other.stop()])
  })

  test('anonymous clients have no account: no token, and nothing that ends them', async () => {
    await expect(auth.openLogin(anonymous)).rejects.toMatchObject({ code: 'unauthenticated' })
    auth.onEnd(anonymous, () => expect.unreachable())()
  })

  test('RFC 9700 §4.14.2: a refresh token is good once; when it comes back, its whole login ends', async () => {
    const { name, pair } = await logIn()
    const next = await auth.refreshLogin(pair.refreshToken, from)
    expect(next?.refreshToken).not.toBe(pair.refreshToken)
    expect(await auth.token(next?.accessToken ?? '', from)).not.toBeNull()
    expect(await auth.refreshLogin(pair.refreshToken, from)).toBeNull()
    for (const token of [pair.accessToken, next?.accessToken ?? '']) expect(await auth.token(token, from)).toBeNull()
    expect(await auth.refreshLogin(next?.refreshToken ?? '', from)).toBeNull()
    expect(audited).toContainEqual(expect.objectContaining({ action: 'token.reused', name, address: from.address }))
  })

  test('of many uses of one refresh token at once at most one succeeds, and the login ends', async () => {
    const { pair } = await logIn()
    const other = await createAuth()
    const uses = Array.from({ length: 8 }, (_, n) => (n % 2 ? auth : other).refreshLogin(pair.refreshToken, from))
    const good = (await Promise.all(uses)).filter((next) => next !== null)
    expect(good).toHaveLength(1)
    expect(await auth.refreshLogin(good[0]?.refreshToken ?? '', from)).toBeNull()
    await other.stop()
  })

  test.each(['', 'x', 'a.b', `${crypto.randomUUID()}.${'A'.repeat(43)}`])('%j is no refresh token', async (token) => {
    expect(await auth.refreshLogin(token, from)).toBeNull()
  })
})

describe('a log-out', () => {
  test('ends the access token and the connections of this login at once, on other nodes within a second', async () => {
    const { principal, pair } = await logIn()
    const other = await createAuth()
    const sibling = await auth.openLogin(principal)
    const login = await auth.token(pair.accessToken, from)
    expect(await other.token(pair.accessToken, from)).not.toBeNull()
    if (!login) throw new Error('no login')
    let ends = 0
    auth.onEnd(principal, () => ends++, login)
    auth.onEnd(principal, () => expect.unreachable())
    await auth.endLogin(login, from)
    expect(ends).toBe(1)
    expect(await auth.token(pair.accessToken, from)).toBeNull()
    expect(await auth.refreshLogin(pair.refreshToken, from)).toBeNull()
    expect(await auth.token(sibling.accessToken, from)).not.toBeNull()
    await eventually(async () => (await other.token(pair.accessToken, from)) === null, 3000)
    await other.stop()
  })

  test('is remembered by a node that starts later', async () => {
    const { pair } = await logIn()
    const login = await auth.token(pair.accessToken, from)
    if (login) await auth.endLogin(login, from)
    const later = await createAuth()
    expect(await later.token(pair.accessToken, from)).toBeNull()
    await later.stop()
  })

  test('reaches a connection that was being made meanwhile', async () => {
    const { principal, pair } = await logIn()
    const login = await auth.token(pair.accessToken, from)
    if (!login) throw new Error('no login')
    await auth.endLogin(login, from)
    await new Promise<boolean>((resolve) => auth.onEnd(principal, resolve, login))
  })
})

describe('an access token in the place of a password', () => {
  test('logs in who it speaks for, and nobody else', async () => {
    const { name, principal, pair } = await logIn()
    const login = await auth.login(`${name.toUpperCase()}@example.org`, pair.accessToken, from)
    expect(login).toEqual({ principal, session: expect.any(String), expiresAt: null })
    const other = await makeUser()
    expect(await auth.login(other.name, pair.accessToken, from)).toBeNull()
    expect(await auth.login(name, `${pair.accessToken}x`, from)).toBeNull()
    expect(await auth.login(name, 'secret', from)).toEqual({ principal, session: null, expiresAt: null })
  })
})

describe('failed logins', () => {
  test('make the next try wait, right or wrong, whatever the way', async () => {
    const strict = await createAuth(null, 3)
    const { name, pair } = await logIn()
    for (const secret of ['a', 'b', pair.accessToken.replace(/.{9}$/, 'x')]) {
      expect(await strict.login(name, secret, from)).toBeNull()
    }
    const throttled = { code: 'throttled', retryAfterMs: expect.any(Number) }
    await expect(strict.password(name, 'secret', from)).rejects.toMatchObject(throttled)
    await expect(strict.login(name, pair.accessToken, from)).rejects.toMatchObject(throttled)
    expect(() => strict.demandTry(name, from)).toThrow(expect.objectContaining(throttled))
    expect(await strict.password(name, 'secret', { ...from, address: '192.0.2.2' })).not.toBeNull()
    const rows = audited.filter((row) => row.name === name).map(({ action }) => action)
    expect(rows.filter((action) => action === 'login.failed')).toHaveLength(3)
    expect(rows.filter((action) => action === 'login.held')).toHaveLength(1)
    await strict.stop()
  })

  test('that come all at once are not tried all', async () => {
    const strict = await createAuth(null, 3)
    const { name } = await makeUser()
    const tries = Array.from({ length: 40 }, () => strict.password(name, 'guess', from))
    const outcomes = await Promise.allSettled(tries)
    // Two run at a time, and the next begin before the last are counted.
    expect(outcomes.filter(({ status }) => status === 'fulfilled').length).toBeLessThan(8)
    await strict.stop()
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
