// HTTPS, and what proxies in front of HTTP may say.

import type { IncomingMessage } from 'node:http'
import { request as requestPlain } from 'node:http'
import { request } from 'node:https'
import { text } from 'node:stream/consumers'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { startTestBroker, type TestBroker } from '../helpers/broker.ts'

let broker: TestBroker
beforeAll(async () => {
  broker = await startTestBroker({
    env: { CLEARBOX_LOGIN_TRIES: '5', CLEARBOX_TRUSTED_PROXIES: '127.0.0.2, 10.0.0.0/8' },
  })
})
afterAll(() => broker.stop())

type Asked = Readonly<{ status: number | undefined; text: string }>

function ask(
  path: string,
  options: Readonly<{ plain?: boolean; from?: string; body?: unknown; headers?: Record<string, string> }>,
): Promise<Asked> {
  const { plain = false, from = '127.0.0.1', body, headers = {} } = options
  return new Promise((resolve, reject) => {
    const asking = (plain ? requestPlain : request)({
      host: '127.0.0.1',
      port: plain ? broker.httpPort : broker.httpsPort,
      path,
      localAddress: from,
      method: body === undefined ? 'GET' : 'POST',
      headers: { ...headers, ...(body !== undefined && { 'content-type': 'application/json' }) },
      ...(!plain && { rejectUnauthorized: false }),
    })
    asking.once('error', reject).once('response', (answer: IncomingMessage) => {
      text(answer).then((said) => resolve({ status: answer.statusCode, text: said }), reject)
    })
    asking.end(body === undefined ? undefined : JSON.stringify(body))
  })
}

it('logs in and sends a message over HTTPS', async () => {
  const { name, password } = await broker.account('alice')
  const login = await ask('/v1/auth/login', { body: { username: name, password } })
  expect(login.status).toBe(200)
  const { accessToken } = JSON.parse(login.text) as { accessToken: string }
  const headers = { authorization: `Bearer ${accessToken}` }
  expect(await ask('/v1/messages', { headers, body: { to: name, text: 'hi' } })).toMatchObject({ status: 201 })
})

it.each([
  ['this machine', '127.0.0.1', {}, 200],
  ['a proxy on this machine that is not trusted', '127.0.0.1', { 'x-forwarded-for': '127.0.0.1' }, 401],
  ['a trusted proxy that speaks for itself', '127.0.0.2', {}, 200],
  ['a trusted proxy that speaks for another machine', '127.0.0.2', { 'x-forwarded-for': '192.0.2.7' }, 401],
  ['a trusted proxy that speaks for this machine', '127.0.0.2', { 'x-forwarded-for': '127.0.0.1' }, 200],
  ['two trusted proxies', '127.0.0.2', { 'x-forwarded-for': '127.0.0.1, 10.1.2.3' }, 200],
  ['a client that lies to a trusted proxy', '127.0.0.2', { 'x-forwarded-for': '127.0.0.1, 192.0.2.7' }, 401],
  [
    'a trusted proxy that names the port of this machine, too',
    '127.0.0.2',
    { 'x-forwarded-for': '127.0.0.1:5001' },
    200,
  ],
  ['a trusted proxy that names the port of another', '127.0.0.2', { 'x-forwarded-for': '[2001:db8::7]:5001' }, 401],
  ['nonsense by a trusted proxy', '127.0.0.2', { 'x-forwarded-for': 'me, ::g' }, 401],
])('metrics asked for by %s (from %s)', async (_who, from, headers, status) => {
  expect((await ask('/metrics', { plain: true, from, headers })).status).toBe(status)
  expect((await ask('/metrics', { from, headers })).status).toBe(status)
})

it.each([
  ['with a port that is always another one', (n: number) => `192.0.2.8:${n}`],
  ['as always other nonsense', (n: number) => `nonsense-${n}`],
])('failed logins of one address count together, though a trusted proxy names it %s', async (_how, name) => {
  const { name: username } = await broker.account('victim')
  const statuses: (number | undefined)[] = []
  for (let n = 1; n <= 6; n++) {
    const headers = { 'x-forwarded-for': name(n) }
    const body = { username, password: 'wrong' }
    statuses.push((await ask('/v1/auth/login', { plain: true, from: '127.0.0.2', headers, body })).status)
  }
  expect(statuses).toEqual([401, 401, 401, 401, 401, 429])
})
