// MQTT 5 §3.3, §3.4, §3.8; 3.1.1 §3.3, §3.4: plain topics from publisher to subscriber.
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { defaultLimits } from '../../broker/limits.ts'
import { startTestBroker, type TestBroker } from '../helpers/broker.ts'
import { type ConnectFields, pingPacket, publishPacket } from '../helpers/mqtt-bytes.ts'
import { loginRaw, type RawMqtt } from '../helpers/mqtt-raw.ts'

let broker: TestBroker
let account: Readonly<{ name: string; password: string }>
let topics = 0
beforeAll(async () => {
  broker = await startTestBroker()
  account = await broker.account()
})
afterAll(() => broker.stop())

const login = (fields: ConnectFields = {}) =>
  loginRaw(broker.mqttPort, { username: account.name, password: account.password, ...fields })
const newTopic = () => `t/${++topics}`

/** The client has nothing more to read. */
async function quiet(...clients: readonly RawMqtt[]): Promise<void> {
  for (const client of clients) await client.ping()
}

describe.each([4, 5] as const)('MQTT at level %i', (level) => {
  it.each([0, 1] as const)(
    'delivers QoS %i in the order of publishing, payloads untouched [MQTT-4.6.0-6]',
    async (qos) => {
      const topic = newTopic()
      const [publisher, subscriber] = [await login({ level }), await login({ level })]
      subscriber.autoAck = true
      expect(await subscriber.subscribe([{ filter: topic, qos }])).toEqual([qos])
      const payloads = Array.from({ length: 60 }, (_, i) => `${i} ${'x'.repeat(i * 7)}`)
      publisher.send(...payloads.map((payload, i) => publishPacket(level, { topic, payload, qos, packetId: 1000 - i })))
      const got = await subscriber.publishes(payloads.length)
      expect(got.map(({ payload }) => payload)).toEqual(payloads)
      expect(got.every((one) => one.qos === qos && !one.dup && !one.retain && one.topic === topic)).toBe(true)
      // [MQTT-4.6.0-2]
      if (qos === 1) for (const i of payloads.keys()) expect((await publisher.expect('puback')).packetId).toBe(1000 - i)
      await quiet(publisher, subscriber)
    },
  )

  it('does not pass DUP and RETAIN of the publisher on [MQTT-3.3.1-3], [MQTT-3.3.1-12]', async () => {
    const topic = newTopic()
    const [publisher, subscriber] = [await login({ level }), await login({ level })]
    await subscriber.subscribe([topic])
    await publisher.publish({ topic, payload: 'again', qos: 1, dup: true })
    await publisher.publish({ topic, payload: 'kept', qos: 1, dup: true, retain: true })
    expect(await subscriber.expect('publish')).toMatchObject({ payload: 'again', dup: false, retain: false })
    expect(await subscriber.expect('publish')).toMatchObject({ payload: 'kept', dup: false, retain: false })
  })

  it('lowers the QoS of a publication to what was granted, and never raises it (§4.3)', async () => {
    const topic = newTopic()
    const [publisher, low, high] = [await login({ level }), await login({ level }), await login({ level })]
    await low.subscribe([{ filter: topic, qos: 0 }])
    await high.subscribe([{ filter: topic, qos: 1 }])
    await publisher.publish({ topic, payload: '1', qos: 1 })
    await publisher.publish({ topic, payload: '0', qos: 0 })
    expect((await low.publishes(2)).map(({ qos }) => qos)).toEqual([0, 0])
    expect((await high.publishes(2)).map(({ qos }) => qos)).toEqual([1, 0])
  })

  it('carries an empty payload, and one that is longer than a chunk of the socket', async () => {
    const topic = newTopic()
    const [publisher, subscriber] = [await login({ level }), await login({ level })]
    await subscriber.subscribe([topic])
    const large = Buffer.alloc(700_000, 'abcdefg')
    await publisher.publish({ topic, qos: 1 })
    await publisher.publish({ topic, qos: 1, payload: large })
    await publisher.publish({ topic, qos: 1, payload: 'behind' })
    const got = await subscriber.publishes(3)
    expect(got[0]?.bytes.length).toBe(0)
    expect(got[1]?.bytes.equals(large)).toBe(true)
    expect(got[2]?.payload).toBe('behind')
  })

  it('takes a packet of 1 MiB and refuses a longer one [MQTT-3.2.2-15]', async () => {
    const topic = newTopic()
    const publisher = await login({ level })
    const rest = 1 + 3 + 2 + topic.length + (level === 5 ? 1 : 0)
    publisher.send(publishPacket(level, { topic, payload: Buffer.alloc(defaultLimits.maxPacketBytes - rest) }))
    await publisher.ping()
    publisher.send(publishPacket(level, { topic, payload: Buffer.alloc(defaultLimits.maxPacketBytes - rest + 1) }))
    expect(await publisher.ended()).toBe(level === 5 ? 0x95 : null)
  })

  it('understands packets that are cut at every byte, and many in one chunk', async () => {
    const topic = newTopic()
    const [publisher, subscriber] = [await login({ level }), await login({ level })]
    subscriber.autoAck = true
    await subscriber.subscribe([topic])
    const bytes = Buffer.concat([
      ...[1, 2, 3].map((packetId) => publishPacket(level, { topic, payload: `p${packetId}`, qos: 1, packetId })),
      pingPacket,
    ])
    const arrive = async () => {
      for (const packetId of [1, 2, 3]) expect((await publisher.expect('puback')).packetId).toBe(packetId)
      await publisher.expect('pingresp')
      expect((await subscriber.publishes(3)).map(({ payload }) => payload)).toEqual(['p1', 'p2', 'p3'])
    }
    publisher.send(bytes)
    await arrive()
    for (let at = 1; at < bytes.length; at++) {
      publisher.send(bytes.subarray(0, at))
      await new Promise(setImmediate)
      publisher.send(bytes.subarray(at))
      await arrive()
    }
    for (const byte of bytes) {
      publisher.send(Buffer.from([byte]))
      await new Promise(setImmediate)
    }
    await arrive()
  })

  it('refuses a topic with a wildcard [MQTT-3.3.2-2]', async () => {
    for (const topic of ['a/+', '#', 'a#']) {
      const publisher = await login({ level })
      publisher.send(publishPacket(level, { topic, payload: 'x' }))
      expect(await publisher.ended()).toBe(level === 5 ? 0x90 : null)
    }
  })

  it('refuses an empty topic and packet identifier 0 [MQTT-4.7.3-1], [MQTT-2.2.1-3]', async () => {
    for (const fields of [{ topic: '' }, { topic: 'a', qos: 1, packetId: 0 }] as const) {
      const publisher = await login({ level })
      publisher.send(publishPacket(level, fields))
      expect(await publisher.ended()).toBe(level === 5 ? 0x82 : null)
    }
  })

  it('delivers once, with the best QoS, where several filters match [MQTT-3.3.4-2], [MQTT-3.3.5-1]', async () => {
    const topic = newTopic()
    const [publisher, subscriber] = [await login({ level }), await login({ level })]
    await subscriber.subscribe([
      { filter: topic, qos: 0 },
      { filter: `${topic}/#`, qos: 1 },
      { filter: `+/${topic.slice(2)}`, qos: 0 },
    ])
    await publisher.publish({ topic, payload: 'once', qos: 1 })
    expect(await subscriber.expect('publish')).toMatchObject({ payload: 'once', qos: 1 })
    await quiet(subscriber)
  })

  it('matches a/# with a itself, a/+ with one level, and nothing after UNSUBSCRIBE [MQTT-4.7.1-2], [MQTT-4.7.1-3]', async () => {
    const topic = newTopic()
    const [publisher, subscriber] = [await login({ level }), await login({ level })]
    await subscriber.subscribe([{ filter: `${topic}/#`, qos: 0 }])
    for (const name of [topic, `${topic}/a/b`, `${topic}x`]) await publisher.publish({ topic: name, qos: 1 })
    expect((await subscriber.publishes(2)).map((one) => one.topic)).toEqual([topic, `${topic}/a/b`])
    await quiet(subscriber)
    await subscriber.subscribe([{ filter: `${topic}/+`, qos: 0 }])
    expect(await subscriber.unsubscribe([`${topic}/#`, 'never/had'])).toEqual(level === 5 ? [0, 0x11] : [])
    for (const name of [topic, `${topic}/a`, `${topic}/a/b`]) await publisher.publish({ topic: name, qos: 1 })
    expect((await subscriber.publishes(1)).map((one) => one.topic)).toEqual([`${topic}/a`])
    await quiet(subscriber)
  })

  it('never publishes or subscribes below $ (DESIGN §2)', async () => {
    const client = await login({ level })
    expect(await client.subscribe(['$SYS/#', '$x/y'])).toEqual(level === 5 ? [0x87, 0x87] : [0x80, 0x80])
    expect(await client.publish({ topic: '$SYS/broker', qos: 1 })).toMatchObject({ reason: level === 5 ? 0x87 : 0 })
  })

  it('answers each filter of a SUBSCRIBE in its place [MQTT-3.9.3-1]', async () => {
    const client = await login({ level })
    const codes = await client.subscribe([{ filter: newTopic(), qos: 0 }, 'a/#/b', newTopic(), 'a+', '$share/x/y', ''])
    expect(codes).toEqual(level === 5 ? [0, 0x8f, 1, 0x8f, 1, 0x8f] : [0, 0x80, 1, 0x80, 1, 0x80])
  })
})

it('serves subscribers of both versions from one publication', async () => {
  const topic = newTopic()
  const subscribers = [await login({ level: 4 }), await login({ level: 5 })]
  for (const subscriber of subscribers) await subscriber.subscribe([topic])
  for (const level of [4, 5] as const) {
    const publisher = await login({ level })
    for (const qos of [0, 1] as const) {
      const properties = level === 5 ? { contentType: 'text/x', userProperties: [['a', 'b'] as [string, string]] } : {}
      await publisher.publish({ topic, payload: `${level} ${qos}`, qos, properties })
      for (const subscriber of subscribers) {
        const got = await subscriber.expect('publish')
        expect(got).toMatchObject({ payload: `${level} ${qos}`, qos })
        expect(got.properties).toEqual(subscriber.level === 5 ? properties : {})
      }
    }
  }
})

it('passes the properties of a plain publication on unaltered and in order [MQTT-3.3.2-15] to [MQTT-3.3.2-20]', async () => {
  const topic = newTopic()
  const [publisher, subscriber] = [await login(), await login()]
  await subscriber.subscribe([topic])
  const properties = {
    payloadFormatIndicator: 1,
    contentType: 'text/plain',
    responseTopic: 'answers/here',
    correlationData: Buffer.from([0, 1, 2, 255]),
    userProperties: [
      ['z', '1'],
      ['a', '2'],
      ['z', '3'],
      ['cb-id', 'mine'],
      ['', ''],
    ] as [string, string][],
  }
  await publisher.publish({ topic, payload: 'x', qos: 1, properties })
  expect((await subscriber.expect('publish')).properties).toEqual(properties)
})

it('tells the rest of a Message Expiry Interval [MQTT-3.3.2-6]', async () => {
  const topic = newTopic()
  const [publisher, subscriber] = [await login(), await login()]
  await subscriber.subscribe([topic])
  await publisher.publish({ topic, qos: 1, properties: { messageExpiryInterval: 100 } })
  const interval = (await subscriber.expect('publish')).properties.messageExpiryInterval ?? 0
  expect(interval).toBeGreaterThan(98)
  expect(interval).toBeLessThanOrEqual(100)
})

it('does not deliver a queued message that has expired [MQTT-3.3.2-5]', async () => {
  const topic = newTopic()
  const publisher = await login()
  const fields = { clientId: 'expiring', clean: false, properties: { sessionExpiryInterval: 60 } }
  const first = await login(fields)
  await first.subscribe([topic])
  await first.leave()
  await publisher.publish({ topic, payload: 'short', qos: 1, properties: { messageExpiryInterval: 1 } })
  await publisher.publish({ topic, payload: 'long', qos: 1, properties: { messageExpiryInterval: 100 } })
  await new Promise((resolve) => setTimeout(resolve, 1100))
  const second = await login(fields)
  expect(await second.expect('publish')).toMatchObject({ payload: 'long' })
  await quiet(second)
})

it('gives every identifier of the matching subscriptions [MQTT-3.3.4-3], [MQTT-3.3.4-4]', async () => {
  const topic = newTopic()
  const [publisher, subscriber] = [await login(), await login()]
  await subscriber.subscribe([topic], { subscriptionIdentifier: 7 })
  await subscriber.subscribe([`${topic}/#`], { subscriptionIdentifier: 268_435_455 })
  await subscriber.subscribe([{ filter: `+/${topic.slice(2)}`, qos: 0 }])
  await publisher.publish({ topic, payload: 'x', qos: 1 })
  const got = await subscriber.expect('publish')
  expect(got.properties.subscriptionIdentifiers?.toSorted((a, b) => a - b)).toEqual([7, 268_435_455])
  await subscriber.subscribe([topic])
  await publisher.publish({ topic, payload: 'replaced', qos: 0 })
  expect((await subscriber.expect('publish')).properties.subscriptionIdentifiers).toEqual([268_435_455])
})

it('No Local keeps one from hearing oneself, and no other [MQTT-3.8.3-3]', async () => {
  const topic = newTopic()
  const [self, other] = [await login(), await login()]
  await self.subscribe([{ filter: topic, noLocal: true }])
  await other.subscribe([topic])
  await self.publish({ topic, payload: 'mine', qos: 1 })
  expect(await other.expect('publish')).toMatchObject({ payload: 'mine' })
  await quiet(self)
  await other.publish({ topic, payload: 'yours', qos: 0 })
  expect(await self.expect('publish')).toMatchObject({ payload: 'yours' })
})

it('Retain As Published keeps the flag [MQTT-3.3.1-13]', async () => {
  const topic = newTopic()
  const [publisher, subscriber] = [await login(), await login()]
  await subscriber.subscribe([{ filter: topic, retainAsPublished: true }])
  for (const retain of [true, false]) await publisher.publish({ topic, payload: 'x', qos: 1, retain })
  expect((await subscriber.publishes(2)).map(({ retain }) => retain)).toEqual([true, false])
})

it('Retain Handling 0, 1 and 2 [MQTT-3.3.1-9], [MQTT-3.3.1-10], [MQTT-3.3.1-11]', async () => {
  const topic = newTopic()
  const client = await login()
  await client.publish({ topic, payload: 'kept', qos: 1, retain: true })
  for (const [retainHandling, comes] of [
    [2, false],
    [1, false],
    [0, true],
    [0, true],
  ] as const) {
    await client.subscribe([{ filter: topic, retainHandling }])
    if (comes) expect(await client.expect('publish')).toMatchObject({ payload: 'kept', retain: true })
    await quiet(client)
  }
  await client.unsubscribe([topic])
  await client.subscribe([{ filter: topic, retainHandling: 1 }])
  expect(await client.expect('publish')).toMatchObject({ payload: 'kept' })
})

it('never sends a packet that is larger than the client takes [MQTT-3.1.2-24], [MQTT-3.1.2-25]', async () => {
  const topic = newTopic()
  const publisher = await login()
  const subscriber = await login({ properties: { maximumPacketSize: 100, receiveMaximum: 1 } })
  await subscriber.subscribe([topic])
  for (const [qos, size] of [
    [0, 200],
    [1, 200],
    [1, 200],
    [0, 10],
    [1, 10],
  ] as const)
    await publisher.publish({ topic, qos, payload: 'x'.repeat(size) })
  const got = await subscriber.publishes(2)
  expect(got.map(({ bytes, qos }) => [bytes.length, qos])).toEqual([
    [10, 0],
    [10, 1],
  ])
  await quiet(subscriber)
})

it("keeps within the client's Receive Maximum [MQTT-3.3.4-9]", async () => {
  const topic = newTopic()
  const publisher = await login()
  const subscriber = await login({ properties: { receiveMaximum: 3 } })
  await subscriber.subscribe([topic])
  for (let i = 0; i < 10; i++) await publisher.publish({ topic, qos: 1, payload: `${i}` })
  const flying = await subscriber.publishes(3)
  await quiet(subscriber)
  for (let i = 3; i < 10; i++) {
    const [oldest] = flying.splice(0, 1)
    if (oldest) subscriber.ack(oldest)
    flying.push(await subscriber.expect('publish'))
    expect(flying.at(-1)?.payload).toBe(`${i}`)
    await quiet(subscriber)
  }
})

it('refuses a subscription identifier from a client [MQTT-3.3.4-6]', async () => {
  for (const topic of [newTopic(), `u/${account.name}/in`, 'u/closed']) {
    const publisher = await login()
    publisher.send(publishPacket(5, { topic, payload: 'x', properties: { subscriptionIdentifiers: [1] } }))
    expect(await publisher.ended()).toBe(0x82)
  }
})

it('what waits for a clean session keeps its order, tells the rest of its life, and is left out when it has expired', async () => {
  const topic = newTopic()
  const publisher = await login()
  const subscriber = await login({ properties: { receiveMaximum: 1 } })
  await subscriber.subscribe([topic], { subscriptionIdentifier: 300 })
  const lives = [100, 1, 100, undefined]
  for (const [i, messageExpiryInterval] of lives.entries()) {
    const userProperties: [string, string][] = [['n', `${i}`]]
    const properties = { userProperties, ...(messageExpiryInterval && { messageExpiryInterval }) }
    await publisher.publish({ topic, payload: `${i}`, qos: 1, properties })
  }
  const first = await subscriber.expect('publish')
  await new Promise((resolve) => setTimeout(resolve, 1100))
  subscriber.ack(first)
  const second = await subscriber.expect('publish')
  subscriber.ack(second)
  const third = await subscriber.expect('publish')
  expect([first, second, third].map(({ payload }) => payload)).toEqual(['0', '2', '3'])
  expect(second.properties).toEqual({
    messageExpiryInterval: 99,
    subscriptionIdentifiers: [300],
    userProperties: [['n', '2']],
  })
  expect(third.properties).toEqual({ subscriptionIdentifiers: [300], userProperties: [['n', '3']] })
})
