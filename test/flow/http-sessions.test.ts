// Logins over HTTP and what hangs on them, on all borders; and who failed to log in.
import { connectAsync } from 'mqtt'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { adminPassword, startTestBroker, type TestBroker } from '../helpers/broker.ts'
import { eventually } from '../helpers/eventually.ts'
import { createRest, logIn, type Rest } from '../helpers/rest.ts'

let broker: TestBroker
let rest: Rest
beforeAll(async () => {
  broker = await startTestBroker({ env: { CLEARBOX_LOGIN_TRIES: '3' } })
  rest = createRest(broker.http)
})
afterAll(() => broker.stop())

async function session() {
  const who = await broker.account()
  const { json } = await rest.post('/v1/auth/login', { username: who.name, password: who.password })
  return { ...who, access: String(json.accessToken), refresh: String(json.refreshToken) }
}

const withToken = (token: string) => createRest(broker.http, { authorization: `Bearer ${token}` })
const mqtt = (username: string, password: string, protocolVersion: 4 | 5 = 5) =>
  connectAsync(`mqtt://127.0.0.1:${broker.mqttPort}`, { username, password, protocolVersion, reconnectPeriod: 0 })

describe('POST /v1/auth/refresh', () => {
  test('gives the next pair; the old refresh token then ends everything', async () => {
    const { refresh, access } = await session()
    const next = await rest.post('/v1/auth/refresh', { refreshToken: refresh })
    expect(next).toMatchObject({ status: 200, json: { expiresIn: 3600 } })
    const client = withToken(String(next.json.accessToken))
    expect((await client.get('/v1/history?with=admin')).status).toBe(200)
    const reused = await rest.post('/v1/auth/refresh', { refreshToken: refresh })
    expect(reused).toMatchObject({ status: 401, type: 'application/problem+json' })
    expect((await client.get('/v1/history?with=admin')).status).toBe(401)
    expect((await withToken(access).get('/v1/history?with=admin')).status).toBe(401)
    expect((await rest.post('/v1/auth/refresh', { refreshToken: next.json.refreshToken })).status).toBe(401)
  })
})

test.each(['-'.repeat(36), '0'.repeat(36), '00000000-0000-0000-0000-00000000000-'])(
  'a refresh token whose login is %j is not good, which is no fault of the server',
  async (login) => {
    const answer = await rest.post('/v1/auth/refresh', { refreshToken: `${login}.${'A'.repeat(43)}` })
    expect(answer).toMatchObject({ status: 401, type: 'application/problem+json' })
  },
)

describe('POST /v1/auth/logout', () => {
  test('ends the tokens of this login at once, and leaves other logins alone', async () => {
    const { name, password, access, refresh } = await session()
    const other = await logIn(broker.http, { name, password })
    const client = withToken(access)
    expect((await client.send('POST', '/v1/auth/logout')).status).toBe(204)
    expect((await client.get('/v1/history?with=admin')).status).toBe(401)
    expect((await client.send('POST', '/v1/auth/logout')).status).toBe(401)
    expect((await rest.post('/v1/auth/refresh', { refreshToken: refresh })).status).toBe(401)
    expect((await other.get('/v1/history?with=admin')).status).toBe(200)
  })

  test('closes the MQTT connection that the access token opened, not the one that the password opened', async () => {
    const { name, password, access } = await session()
    const [byToken, byPassword] = [await mqtt(name, access), await mqtt(name, password)]
    const told = new Promise((resolve) => byToken.once('disconnect', resolve))
    await withToken(access).send('POST', '/v1/auth/logout')
    expect(await told).toMatchObject({ reasonCode: 0x98 })
    await byPassword.publishAsync('t/alive', 'x', { qos: 1 })
    await byPassword.endAsync()
    await expect(mqtt(name, access)).rejects.toMatchObject({ code: 0x86 })
  })
})

test('DESIGN §3: an access token is a password on MQTT for the user name that it agrees with', async () => {
  const { name, access } = await session()
  for (const username of [name, `${name}@localhost`]) await (await mqtt(username, access, 4)).endAsync()
  await expect(mqtt((await broker.account()).name, access)).rejects.toMatchObject({ code: 0x86 })
})

describe('failed logins', () => {
  test('count on all protocols together, and the next try must wait on each', async () => {
    const { name, password } = await broker.account()
    expect((await rest.post('/v1/auth/login', { username: name, password: 'no' })).status).toBe(401)
    await expect(mqtt(name, 'no')).rejects.toMatchObject({ code: 0x86 })
    await expect(mqtt(name, 'no', 4)).rejects.toMatchObject({ code: 4 })
    const refused = await rest.post('/v1/auth/login', { username: name, password })
    expect(refused).toMatchObject({ status: 429, type: 'application/problem+json' })
    expect(refused.json.type).toBe('urn:problem-type:clearbox:throttled')
    expect(Number(refused.headers.get('retry-after'))).toBeGreaterThan(0)
    await expect(mqtt(name, password)).rejects.toMatchObject({ code: 0x9f })
    await eventually(async () => (await rest.post('/v1/auth/login', { username: name, password })).status === 200, 5000)
  })

  test('of an unknown name look the same', async () => {
    const statuses: number[] = []
    for (let n = 0; n < 4; n++) {
      statuses.push((await rest.post('/v1/auth/login', { username: 'nobody-here', password: 'x' })).status)
    }
    expect(statuses).toEqual([401, 401, 401, 429])
  })
})

describe('GET /v1/admin/audit', () => {
  type Row = Readonly<{ action: string; name: string; border: string; address: string; target: string | null }>

  test('tells administrators who logged in, failed and read, in pages with links', async () => {
    const { name, password, access } = await session()
    await rest.post('/v1/auth/login', { username: name, password: 'wrong' })
    await (await mqtt(name, password)).endAsync()
    await withToken(access).get('/v1/history?with=admin')
    const admin = await logIn(broker.http, { name: 'admin', password: adminPassword })
    const read = async (query: string) => admin.get(`/v1/admin/audit?name=${name}${query}`)
    const count = async () => ((await read('')).json.items as Row[]).length
    await expect.poll(count, { interval: 300, timeout: 15_000 }).toBeGreaterThanOrEqual(4)
    const { items } = (await read('')).json as { items: Row[] }
    expect(items.map(({ action, border }) => `${border} ${action}`)).toEqual([
      'http history.read',
      'mqtt login.succeeded',
      'http login.failed',
      'http login.succeeded',
    ])
    expect(items[0]).toMatchObject({ name, address: '127.0.0.1', target: 'admin' })
    const first = await read('&limit=3')
    expect(first.json.items).toHaveLength(3)
    const link = /^<([^>]+)>; rel="next"$/.exec(first.headers.get('link') ?? '')?.[1] ?? ''
    const second = await admin.get(link)
    expect(second.json).toMatchObject({ items: [{ action: 'login.succeeded' }], next: null })
    expect(second.headers.get('link')).toBeNull()
    expect((await read('&action=login.failed')).json.items).toHaveLength(1)
  })

  test.each([
    ['action=a%00', 'action'],
    ['name=a%00', 'name'],
    ['name=bob@elsewhere.example', 'name'],
  ])('the query %j is a problem that names the parameter', async (query, parameter) => {
    const admin = await logIn(broker.http, { name: 'admin', password: adminPassword })
    const { status, json } = await admin.get(`/v1/admin/audit?${query}`)
    expect(status).toBe(400)
    expect(json.errors).toContainEqual({ parameter, detail: expect.any(String) })
  })

  test('is not for others', async () => {
    const { access } = await session()
    expect((await withToken(access).get('/v1/admin/audit')).status).toBe(403)
    expect((await rest.get('/v1/admin/audit')).status).toBe(401)
  })
})
