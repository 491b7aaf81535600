// $SYS with Mosquitto's names (DESIGN §2), for administrators.
import { afterAll, beforeAll, expect, it } from 'vitest'
import { adminPassword, startTestBroker, type TestBroker } from '../helpers/broker.ts'
import { eventually } from '../helpers/eventually.ts'
import type { ConnectFields } from '../helpers/mqtt-bytes.ts'
import { loginRaw, type RawMqtt } from '../helpers/mqtt-raw.ts'
import { logIn } from '../helpers/rest.ts'

let broker: TestBroker
let account: Readonly<{ name: string; password: string }>
beforeAll(async () => {
  broker = await startTestBroker({ env: { CLEARBOX_MQTT_SYS_SECONDS: '1' } })
  account = await broker.account()
})
afterAll(() => broker.stop())

const admin = { username: 'admin', password: adminPassword }
const login = (fields: ConnectFields = {}) => loginRaw(broker.mqttPort, { ...admin, ...fields })
const asUser = (fields: ConnectFields = {}) => login({ username: account.name, password: account.password, ...fields })

/** All that is retained there now. */
async function readAll(client: RawMqtt): Promise<Map<string, string>> {
  const seen = new Map<string, string>()
  await client.subscribe([{ filter: '$SYS/#', qos: 0 }])
  for (;;) {
    const { topic, payload, retain } = await client.expect('publish')
    // Uptime is in the middle of what each round says: behind it the retained ones are through.
    if (!retain) return seen
    seen.set(topic.replace('$SYS/broker/', ''), payload)
  }
}

it('is what tools for Mosquitto expect', async () => {
  const persistent = await asUser({ clientId: 'p', clean: false, properties: { sessionExpiryInterval: 100 } })
  await persistent.subscribe(['t/1', 't/2', '$share/g/t/9', '$share/h/t/9'])
  await persistent.leave()
  const publisher = await asUser()
  await publisher.publish({ topic: 't/1', payload: 'queued', qos: 1 })
  await publisher.publish({ topic: 't/3', payload: 'kept', qos: 1, retain: true })
  const seen = await eventually(async () => {
    const all = await readAll(await login())
    expect(all.get('publish/messages/received')).toBe('2')
    return all
  })
  expect(Object.fromEntries(seen)).toMatchObject({
    version: expect.stringMatching(/^clearbox version \d+\.\d+\.\d+/),
    uptime: expect.stringMatching(/^\d+ seconds$/),
    'clients/disconnected': '1',
    'clients/expired': '0',
    'subscriptions/count': expect.stringMatching(/^[45]$/),
    'shared_subscriptions/count': '2',
    'publish/messages/dropped': '0',
    'load/messages/received/1min': expect.stringMatching(/^\d+\.\d\d$/),
  })
  expect(Number(seen.get('clients/connected'))).toBeGreaterThanOrEqual(1)
  expect(Number(seen.get('clients/total'))).toBe(Number(seen.get('clients/connected')) + 1)
  expect(Number(seen.get('messages/received'))).toBeGreaterThan(5)
  expect(Number(seen.get('messages/sent'))).toBeGreaterThan(5)
  expect(Number(seen.get('bytes/received'))).toBeGreaterThan(100)
  expect(Number(seen.get('retained messages/count'))).toBeGreaterThan(50)
  for (const span of ['1min', '5min', '15min']) {
    for (const name of ['messages/sent', 'publish/sent', 'publish/dropped', 'bytes/sent', 'sockets', 'connections']) {
      expect(seen.has(`load/${name}/${span}`), `${name} ${span}`).toBe(true)
    }
  }
})

it('goes on being said, without the retain flag, and only what has changed', async () => {
  const client = await login()
  await client.subscribe([
    { filter: '$SYS/broker/uptime', qos: 0, retainHandling: 2 },
    { filter: '$SYS/broker/version', qos: 0, retainHandling: 2 },
  ])
  const [first, second] = await client.publishes(2)
  expect([first?.topic, second?.topic, first?.retain]).toEqual(['$SYS/broker/uptime', '$SYS/broker/uptime', false])
  expect(first?.payload).not.toBe(second?.payload)
})

it.each([4, 5] as const)('is for administrators only, at level %i', async (level) => {
  const filters = ['$SYS/#', '$SYS/broker/uptime', '$SYS', '$SYS/+/uptime']
  expect(await (await asUser({ level })).subscribe(filters)).toEqual(filters.map(() => (level === 5 ? 0x87 : 0x80)))
})

it('no wildcard in first place matches it [MQTT-4.7.2-1]', async () => {
  const client = await login()
  await client.subscribe(['#', '+/broker/uptime', '+/#'])
  const witness = await login()
  await witness.subscribe([{ filter: '$SYS/broker/uptime', qos: 0, retainHandling: 2 }])
  await witness.publishes(2)
  const topics = new Set<string>()
  const marker = 'sys/marker'
  await witness.publish({ topic: marker })
  for (let topic = ''; topic !== marker; topics.add(topic)) topic = (await client.expect('publish')).topic
  expect([...topics].filter((topic) => topic.startsWith('$'))).toEqual([])
})

it('nobody publishes there, administrators neither', async () => {
  const client = await login()
  for (const topic of ['$SYS/broker/uptime', '$SYS/x', '$other']) {
    expect(await client.publish({ topic, payload: 'x', qos: 1, retain: true })).toMatchObject({ reason: 0x87 })
  }
  const rest = await logIn(broker.http, { name: 'admin', password: adminPassword })
  expect((await rest.post('/v1/publish', { topic: '$SYS/broker/uptime', payload: 'x' })).status).toBe(403)
})
