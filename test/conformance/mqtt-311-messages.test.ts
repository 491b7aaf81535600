// MQTT 3.1.1 §3.3 to §3.11 and §4: what docs/mqtt-conformance-3.1.1.md needs and no other suite shows.
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { startTestBroker, type TestBroker } from '../helpers/broker.ts'
import { type ConnectFields, publishPacket, pubrecPacket, subscribePacket } from '../helpers/mqtt-bytes.ts'
import { loginRaw, type RawMqtt } from '../helpers/mqtt-raw.ts'

let broker: TestBroker
let who: Readonly<{ username: string; password: string }>
let names = 0
beforeAll(async () => {
  broker = await startTestBroker()
  const { name, password } = await broker.account()
  who = { username: name, password }
})
afterAll(() => broker.stop())

const newName = () => `m${++names}`
const login = (fields: ConnectFields = {}) => loginRaw(broker.mqttPort, { level: 4, ...who, ...fields })
const qualities = [0, 1, 2] as const

async function pair(): Promise<Readonly<{ topic: string; publisher: RawMqtt; subscriber: RawMqtt }>> {
  const [topic, publisher, subscriber] = [newName(), await login(), await login()]
  subscriber.autoAck = true
  return { topic, publisher, subscriber }
}

describe('a retained message', () => {
  it('comes to each new subscription that matches, with its QoS and RETAIN [MQTT-3.3.1-5], [MQTT-3.3.1-6], [MQTT-3.3.1-8]', async () => {
    const { topic, publisher, subscriber } = await pair()
    for (const qos of qualities)
      await publisher.publish({ topic: `${topic}/${qos}`, payload: `${qos}`, qos, retain: true })
    await publisher.publish({ topic: `${topic}/1`, payload: 'newest', qos: 1, retain: true })
    await subscriber.subscribe([{ filter: `${topic}/+`, qos: 2 }])
    const got = (await subscriber.publishes(3)).toSorted((a, b) => a.qos - b.qos)
    expect(got.map(({ qos, payload, retain }) => [qos, payload, retain])).toEqual([
      [0, '0', true],
      [1, 'newest', true],
      [2, '2', true],
    ])
    await subscriber.ping()
  })

  it('is replaced by one of QoS 0 [MQTT-3.3.1-7], and by none without RETAIN [MQTT-3.3.1-12]', async () => {
    const { topic, publisher, subscriber } = await pair()
    await publisher.publish({ topic, payload: 'first', qos: 1, retain: true })
    await publisher.publish({ topic, payload: 'second', qos: 0, retain: true })
    await publisher.publish({ topic, payload: 'passing', qos: 1 })
    await publisher.publish({ topic, payload: '', qos: 1 })
    await publisher.publish({ topic: `${topic}/other`, payload: 'passing', qos: 1 })
    await subscriber.subscribe([`${topic}/#`])
    expect(await subscriber.expect('publish')).toMatchObject({ payload: 'second', qos: 0, retain: true })
    await subscriber.ping()
  })

  it('of no bytes goes to who subscribes, removes what was kept, and is not kept [MQTT-3.3.1-10], [MQTT-3.3.1-11]', async () => {
    const { topic, publisher, subscriber } = await pair()
    await publisher.publish({ topic, payload: 'kept', qos: 1, retain: true })
    await subscriber.subscribe([topic])
    expect(await subscriber.expect('publish')).toMatchObject({ payload: 'kept', retain: true })
    await publisher.publish({ topic, payload: '', qos: 1, retain: true })
    expect(await subscriber.expect('publish')).toMatchObject({ payload: '', retain: false })
    const later = await login()
    await later.subscribe([topic])
    await later.ping()
  })
})

it('answers PUBLISH as its QoS asks: with nothing, PUBACK or PUBREC [MQTT-3.3.4-1]', async () => {
  const { topic, publisher } = await pair()
  for (const qos of qualities) publisher.send(publishPacket(4, { topic, qos, packetId: 40 + qos }))
  expect(await publisher.expect('puback')).toMatchObject({ packetId: 41 })
  expect(await publisher.expect('pubrec')).toMatchObject({ packetId: 42 })
  expect(await publisher.release(42)).toBe(0)
  await publisher.ping()
})

it('takes a packet id as new when its PUBACK is sent, whatever DUP says [MQTT-4.3.2-2]', async () => {
  const { topic, publisher, subscriber } = await pair()
  await subscriber.subscribe([topic])
  for (const dup of [false, true, true])
    expect(await publisher.publish({ topic, payload: 'again', qos: 1, packetId: 7, dup })).toMatchObject({
      packetId: 7,
    })
  expect((await subscriber.publishes(3)).map(({ payload, dup }) => [payload, dup])).toEqual(
    Array(3).fill(['again', false]),
  )
  await subscriber.ping()
})

it('sends each message with the lower one of its QoS and the granted one, without DUP [MQTT-3.8.4-6], [MQTT-4.3.1-1], [MQTT-4.3.2-1], [MQTT-4.3.3-1]', async () => {
  const { topic, publisher } = await pair()
  const subscribers = await Promise.all(qualities.map(() => login()))
  for (const [granted, subscriber] of subscribers.entries()) {
    subscriber.autoAck = true
    expect(await subscriber.subscribe([{ filter: topic, qos: qualities[granted] ?? 0 }])).toEqual([granted])
  }
  for (const qos of qualities) await publisher.publish({ topic, payload: `${qos}`, qos })
  for (const [granted, subscriber] of subscribers.entries()) {
    const got = await subscriber.publishes(3)
    const expected = qualities.map((qos) => [`${qos}`, Math.min(qos, granted), false])
    expect(got.map(({ payload, qos, dup }) => [payload, qos, dup]).toSorted()).toEqual(expected)
    const ids = got.map(({ packetId }) => packetId).filter((id) => id > 0)
    expect(new Set(ids).size).toBe(ids.length)
    await subscriber.ping()
  }
})

it('keeps the order of each topic, QoS and publisher [MQTT-4.6.0-5], [MQTT-4.6.0-6]', async () => {
  const { topic, publisher, subscriber } = await pair()
  await subscriber.subscribe([{ filter: `${topic}/+`, qos: 2 }])
  const sent = Array.from({ length: 60 }, (_, n) => ({ n, qos: qualities[n % 3] ?? 0, topic: `${topic}/${n % 2}` }))
  publisher.autoAck = true
  publisher.send(...sent.map((one) => publishPacket(4, { ...one, payload: `${one.n}`, packetId: one.n + 1 })))
  const got = await subscriber.publishes(sent.length)
  for (const qos of qualities)
    for (const name of [`${topic}/0`, `${topic}/1`]) {
      const order = got.filter((one) => one.qos === qos && one.topic === name).map(({ payload }) => Number(payload))
      expect(order).toEqual(sent.filter((one) => one.qos === qos && one.topic === name).map(({ n }) => n))
    }
})

describe('SUBSCRIBE', () => {
  it('of many filters is that of each, with one answer [MQTT-3.8.4-4], [MQTT-3.8.4-5], [MQTT-3.9.3-1]', async () => {
    const { topic, publisher, subscriber } = await pair()
    const filters = [
      { filter: `${topic}/0`, qos: 0 },
      { filter: `${topic}/2`, qos: 2 },
      { filter: 'not/#/one', qos: 2 },
      { filter: `${topic}/0`, qos: 1 },
    ] as const
    expect(await subscriber.subscribe(filters)).toEqual([0, 2, 0x80, 1])
    for (const end of [0, 2]) await publisher.publish({ topic: `${topic}/${end}`, qos: 2 })
    const got = await subscriber.publishes(2)
    expect(got.map((one) => [one.topic, one.qos]).toSorted()).toEqual([
      [`${topic}/0`, 1],
      [`${topic}/2`, 2],
    ])
    await subscriber.ping()
  })

  it('replaces what has the same filter: the new QoS, retained again, and nothing lost [MQTT-3.8.4-3]', async () => {
    const { topic, publisher, subscriber } = await pair()
    await publisher.publish({ topic: `${topic}/kept`, payload: 'kept', qos: 1, retain: true })
    const filter = `${topic}/#`
    const flow = Array.from({ length: 200 }, (_, n) => `${n}`)
    await subscriber.subscribe([{ filter, qos: 1 }])
    expect(await subscriber.expect('publish')).toMatchObject({ payload: 'kept', qos: 1 })
    for (const payload of flow) publisher.send(publishPacket(4, { topic, payload }))
    for (let packetId = 1; packetId <= 5; packetId++)
      subscriber.send(subscribePacket(4, packetId, [{ filter, qos: 0 }]))
    const seen: string[] = []
    while (seen.length < flow.length + 5) {
      const packet = await subscriber.next()
      if (packet.kind === 'publish') seen.push(packet.payload)
    }
    expect(seen.filter((payload) => payload !== 'kept')).toEqual(flow)
    await publisher.publish({ topic, payload: 'once', qos: 1 })
    expect(await subscriber.expect('publish')).toMatchObject({ payload: 'once', qos: 0 })
    await subscriber.ping()
  })
})

describe('UNSUBSCRIBE', () => {
  it('takes filters away letter by letter, several at once, and answers where there is none [MQTT-3.10.4-1], [MQTT-3.10.4-2], [MQTT-3.10.4-5], [MQTT-3.10.4-6]', async () => {
    const { topic, publisher, subscriber } = await pair()
    await subscriber.subscribe([`${topic}/a`, `${topic}/B`, `${topic}/c`])
    await subscriber.unsubscribe([`${topic}/+`, `${topic}/#`, `${topic}/b`, `${topic}/a/`])
    await subscriber.unsubscribe([`${topic}/a`, `${topic}/none`, `${topic}/c`])
    for (const end of ['a', 'B', 'c']) await publisher.publish({ topic: `${topic}/${end}`, qos: 1 })
    expect((await subscriber.expect('publish')).topic).toBe(`${topic}/B`)
    await subscriber.ping()
  })

  it('lets what is in flight come to its end, on the next connection too [MQTT-3.10.4-3]', async () => {
    const [topic, clientId, publisher] = [newName(), newName(), await login()]
    const first = await login({ clientId, clean: false })
    await first.subscribe([{ filter: topic, qos: 2 }])
    for (const qos of [1, 2] as const) await publisher.publish({ topic, payload: `${qos}`, qos })
    const [one, two] = await first.publishes(2)
    await first.unsubscribe([topic])
    first.send(pubrecPacket(two?.packetId ?? 0))
    expect(await first.expect('pubrel')).toMatchObject({ packetId: two?.packetId })
    await first.break()
    const second = await login({ clientId, clean: false })
    expect(await second.expect('publish')).toMatchObject({ payload: '1', dup: true, packetId: one?.packetId })
    expect(await second.expect('pubrel')).toMatchObject({ packetId: two?.packetId })
    await second.ping()
  })
})
