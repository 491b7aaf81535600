// What the whole interface has in common: its description, headers, limits.
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { readVersion } from '../../broker/version.ts'
import { startTestBroker, type TestBroker } from '../helpers/broker.ts'
import { createRest, logIn, type Rest } from '../helpers/rest.ts'

let broker: TestBroker
let rest: Rest
beforeAll(async () => {
  const env = { CLEARBOX_HTTP_RATE_PER_ACCOUNT: '5', CLEARBOX_HTTP_RATE_PER_ADDRESS: '200' }
  broker = await startTestBroker({ env })
  rest = createRest(broker.http)
})
afterAll(() => broker.stop())

type Operation = Readonly<{ responses: Record<string, unknown>; security?: unknown; requestBody?: unknown }>
type Description = Readonly<{ openapi: string; paths: Record<string, Record<string, Operation>> }>

describe('OpenAPI 3.1', () => {
  test('GET /openapi.json describes every route by the schemas that validate', async () => {
    const { status, json } = await rest.get('/openapi.json')
    expect(status).toBe(200)
    const { openapi, paths } = json as unknown as Description
    expect(openapi).toBe('3.1.0')
    expect(json.info).toMatchObject({ version: readVersion() })
    expect(Object.keys(paths).sort()).toEqual([
      '/health',
      '/metrics',
      '/ready',
      '/v1/admin/audit',
      '/v1/auth/login',
      '/v1/auth/logout',
      '/v1/auth/refresh',
      '/v1/history',
      '/v1/messages',
      '/v1/publish',
      '/v1/users/{user}/status',
    ])
    expect(paths['/v1/messages']?.post?.requestBody).toMatchObject({
      content: { 'application/json': { schema: { properties: { to: { type: 'string', minLength: 1 } } } } },
    })
  })

  test('every operation says what it answers, problems included, and who may ask', async () => {
    const { paths } = (await rest.get('/openapi.json')).json as unknown as Description
    for (const [path, operations] of Object.entries(paths)) {
      for (const { responses, security } of Object.values(operations)) {
        expect(Object.keys(responses).some((status) => status.startsWith('2'))).toBe(true)
        if (!path.startsWith('/v1/')) continue
        expect(responses['429']).toMatchObject({ content: { 'application/problem+json': { schema: {} } } })
        if (!/login|refresh/.test(path)) expect(security).toEqual([{ bearer: [] }])
      }
    }
  })

  test('GET /docs is a page that loads nothing from elsewhere', async () => {
    const page = await rest.get('/docs')
    expect(page).toMatchObject({ status: 200, type: 'text/html' })
    const links = [...page.text.matchAll(/(?:src|href)="([^"]+)"/g)].map(([, link = '']) => link)
    expect(links.length).toBeGreaterThan(3)
    for (const link of links) {
      expect(link).not.toMatch(/^(https?:)?\/\//)
      expect((await fetch(new URL(link, `${broker.http}/docs/`))).status).toBe(200)
    }
  })
})

test('every answer has security headers, problems and 404 too', async () => {
  for (const path of ['/health', '/v1/history', '/nowhere', '/docs']) {
    const { headers } = await rest.get(path)
    expect(headers.get('content-security-policy')).toMatch(/default-src 'self'/)
    expect(headers.get('content-security-policy')).not.toMatch(/upgrade-insecure-requests/)
    expect(headers.get('x-content-type-options')).toBe('nosniff')
    expect(headers.get('x-frame-options')).toBe('SAMEORIGIN')
    expect(headers.get('strict-transport-security')).toBeNull()
    expect(headers.get('x-powered-by')).toBeNull()
  }
})

describe('rate limits', () => {
  test('an account over its limit gets 429 and learns when to come back; others go on', async () => {
    const [busy, calm] = [
      await logIn(broker.http, await broker.account()),
      await logIn(broker.http, await broker.account()),
    ]
    for (let n = 0; n < 5; n++) expect((await busy.get('/v1/history?with=admin')).status).toBe(200)
    const refused = await busy.get('/v1/history?with=admin')
    expect(refused).toMatchObject({ status: 429, type: 'application/problem+json' })
    expect(refused.json.type).toBe('urn:problem-type:clearbox:quota')
    expect(Number(refused.headers.get('retry-after'))).toBeGreaterThan(0)
    expect(Number(refused.headers.get('retry-after'))).toBeLessThanOrEqual(60)
    expect((await calm.get('/v1/history?with=admin')).status).toBe(200)
  })

  test('an address over its limit gets 429, but can still ask whether the server lives', async () => {
    const answers = await Promise.all(Array.from({ length: 250 }, () => rest.get('/openapi.json')))
    const refused = answers.filter(({ status }) => status === 429)
    expect(refused.length).toBeGreaterThan(0)
    expect(refused[0]).toMatchObject({ type: 'application/problem+json', json: { status: 429 } })
    expect(Number(refused[0]?.headers.get('retry-after'))).toBeGreaterThan(0)
    for (const path of ['/health', '/ready', '/metrics']) expect((await rest.get(path)).status).toBe(200)
    expect((await rest.get('/nowhere')).status).toBe(429)
    expect((await rest.send('DELETE', '/v1/messages')).status).toBe(429)
  })
})
