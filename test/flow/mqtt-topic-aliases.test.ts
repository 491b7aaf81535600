// MQTT 5 §3.3.2.3.4: topic aliases of the client and of the broker.
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { startTestBroker, type TestBroker } from '../helpers/broker.ts'
import { type ConnectFields, type PublishFields, publishPacket } from '../helpers/mqtt-bytes.ts'
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
const newTopic = () => `aliases/topic/${++topics}`
const take = async (client: RawMqtt) => {
  const { topic, payload, properties, qos, dup } = await client.expect('publish')
  return { topic, payload, alias: properties.topicAlias ?? 0, qos, dup }
}

describe('of the client', () => {
  const send = (client: RawMqtt, fields: PublishFields, topicAlias: number) =>
    client.send(publishPacket(5, { ...fields, properties: { ...fields.properties, topicAlias } }))

  it.each([0, 1, 2] as const)('stand for their topic at QoS %i, and do not travel on [MQTT-3.3.2-7]', async (qos) => {
    const [one, two] = [newTopic(), newTopic()]
    const [publisher, subscriber] = [await login(), await login()]
    publisher.autoAck = subscriber.autoAck = true
    await subscriber.subscribe([
      { filter: one, qos },
      { filter: two, qos },
    ])
    const properties = {
      userProperties: [['a', 'b']] as [string, string][],
      messageExpiryInterval: 100,
      contentType: 'c',
    }
    const publishes: readonly [string, string, number][] = [
      [one, '1', 1],
      ['', '2', 1],
      [two, '3', 32],
      ['', '4', 1],
      ['', '5', 32],
      [two, '6', 1],
      ['', '7', 1],
    ]
    for (const [i, [topic, payload, alias]] of publishes.entries())
      send(publisher, { topic, payload, qos, packetId: i + 1, properties }, alias)
    const got = await subscriber.publishes(publishes.length)
    expect(got.map(({ topic, payload }) => [topic, payload])).toEqual(
      [one, one, two, one, two, two, two].map((topic, i) => [topic, `${i + 1}`]),
    )
    for (const { properties: passed } of got) {
      expect(passed).toMatchObject({ userProperties: [['a', 'b']], contentType: 'c' })
      expect(passed).not.toHaveProperty('topicAlias')
      expect(passed.messageExpiryInterval).toBeGreaterThan(98)
    }
  })

  it('stand for doors, too', async () => {
    const [publisher, reader] = [await login(), await login()]
    await reader.subscribe([`u/${account.name}/text`, `u/${account.name}/sent`])
    send(publisher, { topic: `u/${account.name}/in`, payload: 'one' }, 2)
    send(publisher, { topic: '', payload: 'two' }, 2)
    const payloads = (await reader.publishes(2)).map(({ payload }) => payload)
    expect(payloads[0]).toContain('one')
    expect(payloads[1]).toContain('two')
  })

  it('are made by a publish that policy refuses', async () => {
    const publisher = await login()
    for (const [topic, packetId] of [
      ['u/closed', 1],
      ['', 2],
    ] as const) {
      send(publisher, { topic, qos: 1, packetId }, 1)
      expect(await publisher.expect('puback')).toMatchObject({ packetId, reason: 0x87 })
    }
  })

  it.each([
    ['above the maximum with a topic [MQTT-3.3.2-9]', 'a/b', 33, 0x94],
    ['above the maximum without one [MQTT-3.3.2-9]', '', 33, 0x94],
    ['0 [MQTT-3.3.2-8]', 'a/b', 0, 0x94],
    ['that stands for nothing', '', 1, 0x82],
  ])('%s end the connection', async (_name, topic, alias, code) => {
    const publisher = await login()
    send(publisher, { topic }, alias)
    expect(await publisher.ended()).toBe(code)
  })

  it('end with their connection [MQTT-3.3.2-7]', async () => {
    const fields = { clientId: 'comes-back', clean: false, properties: { sessionExpiryInterval: 60 } }
    const first = await login(fields)
    send(first, { topic: newTopic() }, 1)
    await first.leave()
    const second = await login(fields)
    send(second, { topic: '' }, 1)
    expect(await second.ended()).toBe(0x82)
  })
})

describe('of the broker', () => {
  const asking = (topicAliasMaximum: number, more = {}) => ({ properties: { topicAliasMaximum, ...more } })

  it.each([0, 1, 2] as const)(
    'are told with the second publish of a topic at QoS %i, then stand for it',
    async (qos) => {
      const topic = newTopic()
      const [publisher, subscriber, other] = [await login(), await login(asking(5)), await login()]
      publisher.autoAck = subscriber.autoAck = other.autoAck = true
      for (const client of [subscriber, other]) await client.subscribe([{ filter: topic, qos }])
      for (const i of [1, 2, 3, 4]) publisher.send(publishPacket(5, { topic, payload: `${i}`, qos, packetId: i }))
      const got = [await take(subscriber), await take(subscriber), await take(subscriber), await take(subscriber)]
      expect(got.map(({ topic: name, alias, payload }) => [name, alias, payload])).toEqual([
        [topic, 0, '1'],
        [topic, 1, '2'],
        ['', 1, '3'],
        ['', 1, '4'],
      ])
      expect(got.every((one) => one.qos === qos)).toBe(true)
      for (const one of await other.publishes(4)) {
        expect(one.topic).toBe(topic)
        expect(one.properties).not.toHaveProperty('topicAlias')
      }
    },
  )

  it('never exceed what the client allows, and each stands for what was told last [MQTT-3.1.2-26]', async () => {
    const names = Array.from({ length: 4 }, newTopic)
    const [publisher, subscriber] = [await login(), await login(asking(2))]
    await subscriber.subscribe(names.map((filter) => ({ filter, qos: 0 as const })))
    const meaning = new Map<number, string>()
    for (let i = 0; i < 60; i++) {
      const sent = names[((i * i) % 7) % 4] ?? ''
      await publisher.publish({ topic: sent, payload: `${i}`, properties: { contentType: 'x'.repeat(i * 5) } })
      const { topic, alias, payload } = await take(subscriber)
      expect(alias).toBeLessThanOrEqual(2)
      if (alias > 0 && topic !== '') meaning.set(alias, topic)
      expect(topic || meaning.get(alias)).toBe(sent)
      expect(payload).toBe(`${i}`)
    }
    expect(meaning.size).toBe(2)
  })

  it('are not used in packets that would become too large for the client [MQTT-3.1.2-24]', async () => {
    const topic = newTopic()
    const [publisher, subscriber] = [await login(), await login(asking(5, { maximumPacketSize: 100 }))]
    await subscriber.subscribe([{ filter: topic, qos: 0 }])
    const largest = 'x'.repeat(100 - 2 - 2 - topic.length - 1)
    for (const payload of [largest, largest, `${largest}!`, 'a', 'b', 'c']) await publisher.publish({ topic, payload })
    const got = [
      await take(subscriber),
      await take(subscriber),
      await take(subscriber),
      await take(subscriber),
      await take(subscriber),
    ]
    expect(got.map((one) => [one.payload.length, one.topic, one.alias])).toEqual([
      [largest.length, topic, 0],
      [largest.length, topic, 0],
      [1, topic, 0],
      [1, topic, 1],
      [1, '', 1],
    ])
  })

  it('are told anew on the next connection, where what was in flight comes with its topic', async () => {
    const topic = newTopic()
    const fields = { clientId: 'resumes', clean: false, ...asking(5, { sessionExpiryInterval: 60 }) }
    const [publisher, first] = [await login(), await login(fields)]
    await first.subscribe([topic])
    for (const payload of ['1', '2', '3']) await publisher.publish({ topic, payload, qos: 1 })
    expect((await first.publishes(3)).map((one) => one.topic)).toEqual([topic, topic, ''])
    await first.break()
    const second = await login(fields)
    const again = [await take(second), await take(second), await take(second)]
    expect(again.map((one) => [one.topic, one.alias, one.payload, one.dup])).toEqual([
      [topic, 0, '1', true],
      [topic, 1, '2', true],
      ['', 1, '3', true],
    ])
  })
})
