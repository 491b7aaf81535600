import { connect, connectAsync, type MqttClient } from 'mqtt'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { makeVerifiers } from '../../broker/auth/scram.ts'
import { startTestBroker, type TestBroker } from '../helpers/broker.ts'
import { eventually } from '../helpers/eventually.ts'
import { logIn, type Rest } from '../helpers/rest.ts'

let broker: TestBroker
let rest: Rest
let topics = 0
beforeAll(async () => {
  broker = await startTestBroker()
  rest = await logIn(broker.http, await broker.account())
})
afterAll(() => broker.stop())

type Received = Readonly<{ topic: string; payload: Buffer; qos: number; retain: boolean; properties: unknown }>

async function subscriber(filter: string, options: Record<string, unknown> = {}) {
  const { name, password } = await broker.account()
  const url = `mqtt://127.0.0.1:${broker.mqttPort}`
  const client: MqttClient = await connectAsync(url, { username: name, password, protocolVersion: 5, ...options })
  const received: Received[] = []
  client.on('message', (topic, payload, { qos, retain, properties }) => {
    received.push({ topic, payload, qos, retain, properties })
  })
  await client.subscribeAsync(filter, { qos: 1 })
  return { client, received, name, password }
}

describe('POST /v1/publish', () => {
  test('what is published reaches subscribers with all its properties', async () => {
    const topic = `t/${++topics}`
    const { client, received } = await subscriber(topic)
    const answer = await rest.post('/v1/publish', {
      topic,
      payloadBase64: Buffer.from([0, 255, 1]).toString('base64'),
      contentType: 'application/x',
      responseTopic: 'answers/here',
      correlationDataBase64: 'AQI=',
      userProperties: [
        { name: 'a', value: '1' },
        { name: 'a', value: '2' },
      ],
    })
    expect(answer).toMatchObject({ status: 200, json: { durable: true } })
    await eventually(() => received.length === 1)
    expect(received[0]).toMatchObject({ payload: Buffer.from([0, 255, 1]), qos: 1, retain: false })
    expect(received[0]?.properties).toMatchObject({
      contentType: 'application/x',
      responseTopic: 'answers/here',
      correlationData: Buffer.from([1, 2]),
      userProperties: { a: ['1', '2'] },
    })
    await client.endAsync()
  })

  test('200 at QoS 1 means kept for a persistent session that is away; 202 at QoS 0 promises nothing', async () => {
    const topic = `t/${++topics}`
    const options = { clientId: `away${topics}`, clean: false, properties: { sessionExpiryInterval: 600 } }
    const { client, name, password } = await subscriber(topic, options)
    await client.endAsync()
    expect(await rest.post('/v1/publish', { topic, payload: 'later' })).toMatchObject({ status: 200 })
    expect(await rest.post('/v1/publish', { topic, payload: 'never', qos: 0 })).toMatchObject({
      status: 202,
      json: { durable: false },
    })
    const received: string[] = []
    const again = connect(`mqtt://127.0.0.1:${broker.mqttPort}`, {
      username: name,
      password,
      protocolVersion: 5,
      ...options,
    })
    again.on('message', (_topic, payload) => received.push(payload.toString()))
    await eventually(() => received.length > 0)
    expect(received).toEqual(['later'])
    await again.endAsync()
  })

  test('a retained publication is there for who subscribes later, until an empty one takes it away', async () => {
    const topic = `t/${++topics}`
    expect((await rest.post('/v1/publish', { topic, payload: 'état', retain: true })).status).toBe(200)
    const { client, received } = await subscriber(topic)
    await eventually(() => received.length === 1)
    expect(received[0]).toMatchObject({ payload: Buffer.from('état'), retain: true })
    expect((await rest.post('/v1/publish', { topic, payload: '', retain: true })).status).toBe(200)
    const later = await subscriber(topic)
    await rest.post('/v1/publish', { topic, payload: 'live' })
    await eventually(() => later.received.length > 0)
    expect(later.received.map(({ payload }) => payload.toString())).toEqual(['live'])
    await Promise.all([client.endAsync(), later.client.endAsync()])
  })

  test.each([
    ['u/bob/in', 403],
    ['u/bob/msg', 403],
    ['$SYS/x', 403],
    ['cb/v1/rpc/x', 403],
    ['u/BOB/in', 400],
    ['a/+/b', 400],
    ['#', 400],
    ['a\0b', 400],
    ['', 400],
    ['x'.repeat(70_000), 400],
  ])('the topic %.20j is refused with %i, as over MQTT', async (topic, status) => {
    const answer = await rest.post('/v1/publish', { topic, payload: 'x' })
    expect(answer).toMatchObject({ status, type: 'application/problem+json' })
  })

  test.each([
    [{}],
    [{ payload: 'a', payloadBase64: 'YQ==' }],
    [{ payloadBase64: '*' }],
    [{ payload: 'x', qos: 3 }],
    [{ payload: 'x', responseTopic: 'a/#' }],
    [{ payload: 'x', expirySeconds: -1 }],
  ])('%j is a problem', async (fields) => {
    expect((await rest.post('/v1/publish', { topic: 't/x', ...fields })).status).toBe(400)
  })

  test.each([
    [{ topic: 'a\0b' }, '#/topic'],
    [{ topic: 'a/\ud800' }, '#/topic'],
    [{ topic: 'a/+' }, '#/topic'],
    [{ topic: 'é'.repeat(33_000) }, '#/topic'],
    [{ payload: '\ud800' }, '#/payload'],
    [{ contentType: 'a\0b' }, '#/contentType'],
    [{ contentType: '\udc00' }, '#/contentType'],
    [{ responseTopic: 'a\0b' }, '#/responseTopic'],
    [{ responseTopic: 'a/#' }, '#/responseTopic'],
    [{ userProperties: [{ name: 'a\0', value: 'b' }] }, '#/userProperties/0/name'],
    [{ userProperties: [{ name: 'a', value: '\0' }] }, '#/userProperties/0/value'],
    [{ bogus: 1 }, '#/bogus'],
    [{ userProperties: [{ name: 'a', value: 'b', 'x/y': 1 }] }, '#/userProperties/0/x~1y'],
  ])('[MQTT-1.5.4-1], [MQTT-1.5.4-2]: %.60j is a problem that points at the field', async (fields, pointer) => {
    const { status, json } = await rest.post('/v1/publish', { topic: 't/x', payload: 'x', retain: true, ...fields })
    expect(status).toBe(400)
    expect(json.errors).toContainEqual({ pointer, detail: expect.any(String) })
  })

  test('a payload that MQTT would not take is 413', async () => {
    const payload = 'x'.repeat(1024 * 1024 + 1)
    expect((await rest.post('/v1/publish', { topic: 't/x', payload })).status).toBe(413)
    expect((await rest.post('/v1/publish', { topic: 't/x', payload: payload.repeat(2) })).status).toBe(413)
  })

  test('DESIGN §3: an account without plain topics may not', async () => {
    const name = `none${++topics}`
    const verifiers = await makeVerifiers('secret')
    await broker.store.accounts.create({ name, role: 'user', plainTopics: 'none', verifiers })
    const other = await logIn(broker.http, { name, password: 'secret' })
    expect((await other.post('/v1/publish', { topic: 't/x', payload: 'x' })).status).toBe(403)
  })
})
