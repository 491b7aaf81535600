// Requests that are made to confuse: two lengths, broken chunks, headers without end. RFC 9112 §6.3, §7.1, §11
import { setTimeout as pause } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { defaultLimits } from '../../broker/limits.ts'
import { startTestBroker, type TestBroker } from '../helpers/broker.ts'
import { handshake } from '../helpers/hostile-frames.ts'
import { heard, open, type Target, targetOf, tell } from '../helpers/hostile-target.ts'
import { startWitnesses, type Witnesses } from '../helpers/hostile-witnesses.ts'

let broker: TestBroker
let target: Target
let witnesses: Witnesses
let token: string
beforeAll(async () => {
  broker = await startTestBroker({ env: { CLEARBOX_METRICS_PORT: '0' }, limits: { ...defaultLimits, loginMs: 3000 } })
  target = await targetOf(broker)
  witnesses = await startWitnesses(target)
  const { name, password } = await broker.account('hostile')
  const answer = await fetch(`${broker.http}/v1/auth/login`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ username: name, password }),
  })
  token = ((await answer.json()) as { accessToken: string }).accessToken
})
afterAll(async () => {
  await witnesses.end()
  await broker.stop()
})

const get = (headers: string) => `GET /health HTTP/1.1\r\nHost: x\r\n${headers}\r\n`
const post = (headers: string, body: string) =>
  `POST /v1/auth/login HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n${headers}\r\n${body}`
/** What must never be answered: it is inside of another request, or behind one that was wrong. */
const smuggled = get('X-Smuggled: yes\r\n')

/** Not requests of HTTP/1.1, or not ones that two readers would understand in the same way. */
const broken: readonly [what: string, bytes: string, status: number][] = [
  [
    'both lengths (RFC 9112 §6.1)',
    post('Content-Length: 4\r\nTransfer-Encoding: chunked\r\n', `0\r\n\r\n${smuggled}`),
    400,
  ],
  [
    'the same in the other order',
    post('Transfer-Encoding: chunked\r\nContent-Length: 4\r\n', `0\r\n\r\n${smuggled}`),
    400,
  ],
  ['two lengths', post('Content-Length: 0\r\nContent-Length: 5\r\n', smuggled), 400],
  ['a list of lengths', post('Content-Length: 0, 5\r\n', smuggled), 400],
  ['a length with a sign', post('Content-Length: +0\r\n', smuggled), 400],
  ['a negative length', post('Content-Length: -1\r\n', smuggled), 400],
  ['a length beyond all numbers', post(`Content-Length: ${'9'.repeat(30)}\r\n`, smuggled), 400],
  ['white space before the colon (§5.1)', post('Transfer-Encoding : chunked\r\n', `0\r\n\r\n${smuggled}`), 400],
  ['a coding that is not chunked at the end (§6.3)', post('Transfer-Encoding: chunked, gzip\r\n', smuggled), 400],
  ['a coding that is hidden', post('Transfer-Encoding: \x0bchunked\r\n', `0\r\n\r\n${smuggled}`), 400],
  ['chunked twice', post('Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n', `0\r\n\r\n${smuggled}`), 400],
  ['a chunk whose size is no number (§7.1)', post('Transfer-Encoding: chunked\r\n', `zz\r\nx\r\n${smuggled}`), 400],
  ['a chunk whose size is beyond all numbers', post('Transfer-Encoding: chunked\r\n', `${'f'.repeat(17)}\r\nx`), 400],
  ['a chunk that is longer than its size', post('Transfer-Encoding: chunked\r\n', `1\r\nxyz\r\n0\r\n\r\n`), 400],
  ['a header without a name', get(': x\r\n'), 400],
  ['a header of NUL', get('X: \0\r\n'), 400],
  ['a line that is folded in front (§5.2)', 'GET /health HTTP/1.1\r\n Host: x\r\n\r\n', 400],
  ['no host (§3.2)', 'GET /health HTTP/1.1\r\n\r\n', 400],
  ['HTTP/2 by prior knowledge', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 400],
  ['a method that nobody knows', 'BREW /health HTTP/1.1\r\nHost: x\r\n\r\n', 400],
  ['random bytes', '\xa5\xbe\x17\xfe\x0c\x9e\x25\xd5\x9c', 400],
  ['XMPP', `<stream:stream to='localhost' version='1.0'>`, 400],
  ['headers over 16 KiB', get(`X: ${'x'.repeat(20_000)}\r\n`), 431],
  ['a path over 16 KiB', `GET /${'x'.repeat(20_000)} HTTP/1.1\r\nHost: x\r\n\r\n`, 431],
  ['two thousand headers over 16 KiB', get('A: xxxxxxxxxxxxxxx\r\n'.repeat(2000)), 431],
]

describe.each(['http', 'https', 'metrics'] as const)('on %s', (name) => {
  it('what is broken gets one answer, a problem, and the end; what is behind it gets none', async () => {
    const answers = await witnesses.during(() =>
      Promise.all(broken.map(([, bytes]) => tell(target, name, latin1(bytes)))),
    )
    // The metrics answer from the head: to them what is wrong in a body is what comes behind the request.
    const isLast = (status: number) => name !== 'metrics' || status !== 404
    const statuses = answers.map((answer, at) => [broken[at]?.[0], statusesIn(answer).filter(isLast).join()])
    expect(statuses).toEqual(broken.map(([what, , status]) => [what, `${status}`]))
    // Of a missing host Node tells with the status alone.
    const problems = answers.filter((_, at) => broken[at]?.[0] !== 'no host (§3.2)')
    for (const answer of problems) expect(answer.toString()).toMatch(/application\/problem\+json[\s\S]*"status":4/)
  })

  it('a head that comes byte by byte, or never, and a body that stops get 408 in time', async () => {
    const head = get(`X: ${'x'.repeat(200)}\r\n`)
    const slow = open(target, name)
    let said = 0
    const drip = setInterval(() => slow.write(head.slice(said, ++said)), 100)
    const waits = [heard(slow), tell(target, name, ''), tell(target, name, post('Content-Length: 100\r\n', 'half'))]
    for (const answer of await witnesses.during(() => Promise.all(waits))) {
      expect(statusesIn(answer).at(-1)).toBe(408)
    }
    clearInterval(drip)
    expect(said).toBeLessThan(head.length)
  })
})

it('requests behind each other are all answered, in their order (RFC 9112 §9.3.2)', async () => {
  const paths = Array.from({ length: 60 }, (_, n) => (n % 2 ? '/health' : `/v1/history?with=${n}`))
  const head = `Host: x\r\nAuthorization: Bearer ${token}\r\n`
  const requests = paths.map((path) => `GET ${path} HTTP/1.1\r\n${head}\r\n`)
  const answer = await tell(target, 'http', `${requests.join('')}GET / HTTP/1.1\r\n${head}Connection: close\r\n\r\n`)
  const bodies = [...answer.toString().matchAll(/\r\n\r\n\{"(status|items)"/g)].map(([, kind]) => kind)
  expect(bodies).toEqual(paths.map((path) => (path === '/health' ? 'status' : 'items')))
  expect(statusesIn(answer)).toEqual([...paths.map(() => 200), 404])
})

it('the port of the metrics answers one network a hundred times in a second', async () => {
  const url = `http://127.0.0.1:${target.ports.metrics}/metrics`
  // On a busy machine a crowd may take its seconds, too.
  const crowd = async () => {
    const answers = await Promise.all(Array.from({ length: 400 }, () => fetch(url)))
    return answers.find(({ status }) => status === 429)?.headers.get('retry-after')
  }
  await expect.poll(crowd, { timeout: 30_000 }).toBe('1')
  await expect.poll(async () => (await fetch(url)).status).toBe(200)
})

describe('a request that is well made and means harm', () => {
  const json = { 'content-type': 'application/json' }
  const ask = async (path: string, init: RequestInit = {}) => {
    const { headers, ...rest } = init
    const answer = await fetch(`${broker.http}${path}`, {
      ...rest,
      headers: { ...json, authorization: `Bearer ${token}`, ...(headers as Record<string, string>) },
    })
    await answer.arrayBuffer()
    return answer.status
  }

  it.each([
    ['JSON that is nested deep', '['.repeat(60_000), 400],
    ['JSON that closes what is nested deep', `{"to":${'['.repeat(30_000)}${']'.repeat(30_000)},"text":"x"}`, 400],
    ['a prototype', '{"__proto__":{"x":1},"to":"a","text":"x"}', 400],
    ['a constructor', '{"constructor":{"prototype":{"x":1}},"to":"a","text":"x"}', 400],
    ['no JSON', '{"to":', 400],
    ['bytes that are not UTF-8', Buffer.from('7b22746f223a22ff227d', 'hex'), 400],
    ['more than a request may be', JSON.stringify({ to: 'a', text: 'x'.repeat(200_000) }), 413],
  ])('%s', async (_what, body, status) => {
    expect(await witnesses.during(() => ask('/v1/messages', { method: 'POST', body }))).toBe(status)
  })

  it('of a path out of its folder, or that cannot be decoded, is not found or refused', async () => {
    const paths = [
      '/docs/static/..%2f..%2f..%2fpackage.json',
      '/docs/%2e%2e/%2e%2e/etc/passwd',
      '/%zz',
      '/docs/\0',
      '//x',
    ]
    for (const path of paths) {
      const [status = 0] = statusesIn(
        await tell(target, 'http', `GET ${path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`),
      )
      expect([path, [400, 404].includes(status)]).toEqual([path, true])
    }
  })

  it('to another protocol, behind a request that has no answer yet, ends the connection', async () => {
    const upgrade = 'GET /docs HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: '
    const behind = [`${upgrade}h2c\r\n\r\n`, `${upgrade}h2c\r\n\r\n`.repeat(2), handshake('/mqtt')]
    await witnesses.during(async () => {
      for (const bytes of behind) {
        for (let round = 0; round < 20; round++)
          await tell(target, 'http', `${get('').repeat(1 + (round % 3))}${bytes}`)
      }
    })
  })

  it('of 256 MB is refused before it has come, and what comes of it is not kept', async () => {
    const authorization = `Authorization: Bearer ${token}\r\n`
    const announced = await tell(target, 'http', post(`${authorization}Content-Length: 268435456\r\n`, 'x'))
    expect(statusesIn(announced)).toEqual([413])
    const socket = open(target, 'http')
    socket.write(post(`${authorization}Transfer-Encoding: chunked\r\n`, ''))
    const chunk = Buffer.from(`10000\r\n${'x'.repeat(65_536)}\r\n`)
    let isOver = false
    const answer = heard(socket).finally(() => {
      isOver = true
    })
    await witnesses.during(async () => {
      for (let sent = 0; sent < 4096 && !isOver; sent++) {
        if (!socket.write(chunk)) await pause(1)
      }
    })
    // Who still speaks when the connection is closed may lose the answer (RFC 9112 §9.6).
    expect(['413', '']).toContain(statusesIn(await answer).join())
  })
})

const latin1 = (text: string) => Buffer.from(text, 'latin1')

function statusesIn(answer: Buffer): number[] {
  return [...answer.toString('latin1').matchAll(/HTTP\/1\.1 (\d{3})/g)].map(([, status]) => Number(status))
}
