// Tokens of an issuer as logins: what is counted, what is told, and what of our own they cannot undo.
import { randomBytes } from 'node:crypto'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { Writable } from 'node:stream'
import { SignJWT } from 'jose'
import { pino } from 'pino'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { createExternalTokens } from '../../broker/auth/external-tokens.ts'
import { createLoginGuard } from '../../broker/auth/login-guard.ts'
import { makeVerifiers } from '../../broker/auth/scram.ts'
import { createAuthenticator, type RunningAuthenticator } from '../../broker/auth.ts'
import { createEvents } from '../../broker/events.ts'
import { createMetrics } from '../../broker/metrics.ts'
import type { AuditRow } from '../../broker/stores.ts'
import { secondsFromNow } from '../helpers/issuer.ts'
import { openScratchStore, type ScratchStore } from '../helpers/store.ts'

const domain = 'example.org'
const secret = randomBytes(32).toString('hex')
const audited: AuditRow[] = []
let logged = ''
let scratch: ScratchStore
let auth: RunningAuthenticator

beforeAll(async () => {
  scratch = await openScratchStore()
  const keyFile = join(scratch.dataDir, '../jwt-secret')
  writeFileSync(keyFile, secret)
  const sink = new Writable({
    write(chunk, _encoding, done) {
      logged += chunk
      done()
    },
  })
  const logger = pino({ level: 'trace' }, sink)
  // The issuer has our own secret and our own names: the worst case.
  const jwt = { issuer: domain, audience: 'clearbox', keyFile, alg: 'HS256', jwks: null, accountClaim: 'sub' } as const
  auth = await createAuthenticator({
    ...scratch.store,
    domain,
    jwtSecret: secret,
    external: createExternalTokens({ jwt, domain, logger }),
    guard: createLoginGuard({ tries: 3, addressTries: 1000, maxWaitSeconds: 60 }),
    events: createEvents({
      counters: createMetrics().counters,
      logger,
      audit: { add: (row) => void audited.push(row) },
    }),
    logger,
  })
})
afterAll(async () => {
  await auth.stop()
  await scratch.close()
})

let users = 0
async function makeUser() {
  const name = `user${++users}`
  const verifiers = await makeVerifiers('secret')
  await scratch.store.accounts.create({ name, role: 'user', plainTopics: 'none', verifiers })
  return { name, from: { border: 'mqtt', address: `192.0.2.${users}` } as const }
}

function sign(claims: Record<string, unknown>, key = secret): Promise<string> {
  const all = { iss: domain, aud: 'clearbox', exp: secondsFromNow(60), ...claims }
  return new SignJWT(all).setProtectedHeader({ alg: 'HS256' }).sign(Buffer.from(key))
}

const forge = (claims: Record<string, unknown>) => sign(claims, 'x'.repeat(64))
const throttled = { code: 'throttled' }
const rowsOf = (name: string) =>
  audited.filter((row) => row.name === name).map(({ action, detail }) => ({ action, detail }))

test('forged tokens count as failed logins: the next try must wait, with a good one too', async () => {
  const { name, from } = await makeUser()
  for (let tries = 0; tries < 3; tries++) expect(await auth.login(name, await forge({ sub: name }), from)).toBeNull()
  await expect(auth.login(name, await sign({ sub: name }), from)).rejects.toMatchObject(throttled)
})

test('one that has expired is no guess: who comes back with it need not wait, but is told of', async () => {
  const { name, from } = await makeUser()
  const old = await sign({ sub: name, exp: secondsFromNow(-5) })
  for (let tries = 0; tries < 10; tries++) expect(await auth.login(name, old, from)).toBeNull()
  expect(await auth.login(name, await sign({ sub: name }), from)).not.toBeNull()
  const failed = { action: 'login.failed', detail: {} }
  expect(rowsOf(name)).toEqual([...Array(10).fill(failed), { action: 'login.succeeded', detail: { method: 'jwt' } }])
})

test('a bearer of forged tokens must wait; good ones from the same address are let in all the same', async () => {
  const { name, from } = await makeUser()
  for (let tries = 0; tries < 3; tries++) expect(await auth.token(await forge({ sub: name }), from)).toBeNull()
  await expect(auth.token(await forge({ sub: name }), from)).rejects.toMatchObject(throttled)
  expect(await auth.token(await sign({ sub: name }), from)).toMatchObject({ principal: { name } })
})

test('the audit trail says how each login was made', async () => {
  const { name, from } = await makeUser()
  const principal = await auth.password(name, 'secret', from)
  if (!principal) throw new Error('no login')
  const { accessToken } = await auth.openLogin(principal)
  await auth.login(name, accessToken, from)
  await auth.login(name, await sign({ sub: name }), from)
  auth.tried(name, from, principal)
  expect(rowsOf(name).map(({ detail }) => detail)).toEqual(
    ['password', 'token', 'jwt', 'scram'].map((method) => ({ method })),
  )
})

test('a token that we signed and ended stays so, even where the issuer has our secret and our name', async () => {
  const { name, from } = await makeUser()
  const principal = await auth.password(name, 'secret', from)
  if (!principal) throw new Error('no login')
  const { accessToken } = await auth.openLogin(principal)
  const login = await auth.token(accessToken, from)
  if (!login) throw new Error('no login')
  await auth.endLogin(login, from)
  expect(await auth.token(accessToken, from)).toBeNull()
  expect(await auth.login(name, accessToken, from)).toBeNull()
})

test('a connection that is made with a token which has just expired ends at once', async () => {
  const { name, from } = await makeUser()
  const login = await auth.token(await sign({ sub: name }), from)
  if (!login) throw new Error('no login')
  const over = { ...login, expiresAt: Date.now() - 1 }
  await new Promise<boolean>((resolve) => auth.onEnd(login.principal, resolve, over))
})

test('no part of a token is in the log or in the audit trail', async () => {
  const { name, from } = await makeUser()
  const tokens = [await sign({ sub: name }), await forge({ sub: name }), await sign({ sub: name, exp: 1 })]
  for (const token of tokens) {
    await auth.login(name, token, from)
    await auth.token(token, from)
  }
  expect(logged).toContain(name)
  for (const part of tokens.flatMap((token) => token.split('.').slice(1))) {
    expect(logged).not.toContain(part)
    expect(JSON.stringify(audited)).not.toContain(part)
  }
})
