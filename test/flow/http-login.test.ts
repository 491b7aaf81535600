import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { makeVerifiers } from '../../broker/auth/scram.ts'
import { adminPassword, startTestBroker, type TestBroker } from '../helpers/broker.ts'
import { eventually } from '../helpers/eventually.ts'
import { createRest, logIn, type Rest } from '../helpers/rest.ts'

let broker: TestBroker
let rest: Rest
beforeAll(async () => {
  broker = await startTestBroker({ env: { CLEARBOX_QUOTA_PER_SECOND: '1', CLEARBOX_QUOTA_BURST: '2' } })
  rest = createRest(broker.http)
})
afterAll(() => broker.stop())

describe('POST /v1/auth/login', () => {
  test('a password becomes a token for an hour, which no cache keeps', async () => {
    const { name, password } = await broker.account()
    const { status, json, headers } = await rest.post('/v1/auth/login', { username: `${name}@localhost`, password })
    expect(status).toBe(200)
    expect(json).toEqual({
      accessToken: expect.stringMatching(/^eyJ/),
      expiresIn: 3600,
      refreshToken: expect.any(String),
      refreshExpiresIn: 30 * 24 * 3600,
    })
    expect(headers.get('cache-control')).toBe('no-store')
    expect(headers.get('x-content-type-options')).toBe('nosniff')
  })

  test('a wrong password and an unknown name have the same answer', async () => {
    const { name } = await broker.account()
    const wrong = await rest.post('/v1/auth/login', { username: name, password: 'wrong' })
    const unknown = await rest.post('/v1/auth/login', { username: 'nobody-at-all', password: 'wrong' })
    expect(wrong.status).toBe(401)
    expect(unknown).toMatchObject({ status: wrong.status, text: wrong.text })
    expect(wrong.headers.get('www-authenticate')).toMatch(/^Bearer /)
  })

  test('a token ends with the password it was made under, within a second', async () => {
    const who = await broker.account()
    const client = await logIn(broker.http, who)
    expect((await client.get('/v1/history?with=admin')).status).toBe(200)
    await broker.store.accounts.setVerifiers(who.name, await makeVerifiers('another'))
    await eventually(async () => (await client.get('/v1/history?with=admin')).status === 401, 3000)
  })

  test.each([
    ['malformed JSON', '{', 400],
    ['a __proto__', '{"__proto__":{}}', 400],
    ['an empty body', '', 400],
    ['a field that is missing', '{"username":"a"}', 400],
    ['too much', JSON.stringify({ username: 'a', password: 'x'.repeat(200_000) }), 413],
  ])('RFC 9457: %s is a problem', async (_what, body, status) => {
    const answer = await rest.post('/v1/auth/login', body)
    expect(answer).toMatchObject({ status, type: 'application/problem+json' })
    expect(answer.json).toMatchObject({ status, title: expect.any(String), detail: expect.any(String) })
  })

  test('RFC 8259 §8.1: bytes that are no UTF-8 are a problem, and are not repaired', async () => {
    const who = await broker.account()
    const body = Buffer.from(`{"username":"${who.name}\xff","password":"x"}`, 'latin1')
    const headers = { 'content-type': 'application/json' }
    const answer = await fetch(`${broker.http}/v1/auth/login`, { method: 'POST', headers, body })
    expect(answer.status).toBe(400)
    expect(await answer.json()).toMatchObject({ type: 'urn:problem-type:clearbox:bad-payload' })
  })

  test('a form is 415', async () => {
    const type = 'application/x-www-form-urlencoded'
    const answer = await rest.post('/v1/auth/login', 'username=a&password=b', { 'content-type': type })
    expect(answer).toMatchObject({ status: 415, type: 'application/problem+json' })
  })
})

test('DESIGN §2: over its quota an account gets 429 and learns when to come back', async () => {
  const [sender, receiver] = [await broker.account(), await broker.account()]
  const client = await logIn(broker.http, sender)
  const answers = await Promise.all(
    Array.from({ length: 6 }, () => client.post('/v1/messages', { to: receiver.name, text: 'hi' })),
  )
  const refused = answers.filter(({ status }) => status === 429)
  expect(answers.filter(({ status }) => status === 201).length + refused.length).toBe(6)
  expect(refused.length).toBeGreaterThan(0)
  expect(Number(refused[0]?.headers.get('retry-after'))).toBeGreaterThanOrEqual(1)
})

describe('health and metrics', () => {
  test('the server is healthy and ready', async () => {
    expect((await rest.get('/health')).json).toEqual({ status: 'ok' })
    expect((await rest.get('/ready')).json).toEqual({ status: 'ready' })
  })

  test('metrics are for this machine, and for administrators from elsewhere', async () => {
    expect((await rest.get('/metrics')).text).toContain('clearbox_login_failures_total')
    const forwarded = { 'x-forwarded-for': '192.0.2.1' }
    expect((await rest.get('/metrics', forwarded)).status).toBe(401)
    const user = await logIn(broker.http, await broker.account())
    expect((await user.get('/metrics', forwarded)).status).toBe(403)
    const admin = await logIn(broker.http, { name: 'admin', password: adminPassword })
    expect((await admin.get('/metrics', forwarded)).status).toBe(200)
  })
})

describe('what is not there', () => {
  test('an unknown path is 404, a wrong method 405 with Allow', async () => {
    expect(await rest.get('/nothing')).toMatchObject({ status: 404, type: 'application/problem+json' })
    const wrong = await rest.send('DELETE', '/v1/messages')
    expect(wrong.status).toBe(405)
    expect(wrong.headers.get('allow')).toBe('POST')
    expect((await rest.send('PUT', '/health')).headers.get('allow')).toBe('GET, HEAD')
    const one = await rest.send('POST', '/v1/users/x/status')
    expect([one.status, one.headers.get('allow')]).toEqual([405, 'GET, HEAD'])
    expect((await rest.get('/v1/users//status')).status).not.toBe(405)
  })

  test('a path that is not UTF-8 is 400', async () => {
    expect(await rest.get('/%ff%zz')).toMatchObject({ status: 400, type: 'application/problem+json' })
  })
})
