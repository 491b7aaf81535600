// MQTT 5 chapters 3.3, 3.8 to 3.11 and 4.7: what docs/mqtt-conformance.md names and no test of a flow shows.
import { afterAll, beforeAll, expect, it } from 'vitest'
import { startTestBroker, type TestBroker } from '../helpers/broker.ts'
import { pubcompPacket, pubrecPacket, subscribePacket, unsubscribePacket } from '../helpers/mqtt-bytes.ts'
import { loginRaw, type RawMqtt } from '../helpers/mqtt-raw.ts'

let broker: TestBroker
let login: () => Promise<RawMqtt>
let topics = 0
beforeAll(async () => {
  broker = await startTestBroker()
  const { name, password } = await broker.account()
  login = () => loginRaw(broker.mqttPort, { username: name, password })
})
afterAll(() => broker.stop())

const newTopic = () => `topics/${++topics}`

it('SUBACK has the packet id of its SUBSCRIBE and grants each filter its QoS [MQTT-3.8.4-2], [MQTT-3.8.4-5] to [MQTT-3.8.4-7]', async () => {
  const client = await login()
  const filters = ([0, 1, 2] as const).map((qos) => ({ filter: newTopic(), qos }))
  client.send(subscribePacket(5, 777, filters))
  expect(await client.expect('suback')).toMatchObject({ packetId: 777, reasons: [0, 1, 2] })
  await client.ping()
})

it('UNSUBACK has the packet id and a code for each filter, also one that was not there [MQTT-3.10.4-4] to [MQTT-3.10.4-6]', async () => {
  const [client, topic, other] = [await login(), newTopic(), newTopic()]
  await client.subscribe([topic, other])
  client.send(unsubscribePacket(5, 778, [topic, `${topic}/`, topic]))
  expect(await client.expect('unsuback')).toMatchObject({ packetId: 778, reasons: [0, 0x11, 0x11] })
  await client.publish({ topic })
  await client.publish({ topic: other })
  expect((await client.expect('publish')).topic).toBe(other)
})

it('what was sent before UNSUBSCRIBE is brought to its end [MQTT-3.10.4-3]', async () => {
  const [client, sender, topic] = [await login(), await login(), newTopic()]
  await client.subscribe([{ filter: topic, qos: 2 }])
  await sender.publish({ topic, qos: 2 })
  const { packetId } = await client.expect('publish')
  await client.unsubscribe([topic])
  client.send(pubrecPacket(packetId))
  expect(await client.expect('pubrel')).toMatchObject({ packetId, reason: 0 })
  client.send(pubcompPacket(packetId))
  await client.ping()
})

it('the same filter again takes the place of the first, and brings what is retained [MQTT-3.8.4-3], [MQTT-3.8.4-4]', async () => {
  const [client, topic] = [await login(), newTopic()]
  await client.publish({ topic, payload: 'kept', retain: true, qos: 1 })
  for (const qos of [1, 0] as const) {
    await client.subscribe([{ filter: topic, qos }])
    expect(await client.expect('publish')).toMatchObject({ payload: 'kept', retain: true, qos })
  }
  await client.publish({ topic, payload: 'live' })
  expect(await client.expect('publish')).toMatchObject({ payload: 'live', retain: false, qos: 0 })
  await client.ping()
})

it('without RETAIN what is retained stays; an empty one is delivered, takes it away and is not kept [MQTT-3.3.1-6] to [MQTT-3.3.1-8]', async () => {
  const [sender, listener, topic] = [await login(), await login(), newTopic()]
  await sender.publish({ topic, payload: 'kept', retain: true, qos: 1 })
  await sender.publish({ topic, payload: 'passing', qos: 1 })
  await listener.subscribe([{ filter: topic, qos: 0 }])
  expect((await listener.expect('publish')).payload).toBe('kept')
  await sender.publish({ topic, payload: '', retain: true, qos: 1 })
  expect((await listener.expect('publish')).payload).toBe('')
  await listener.subscribe([{ filter: topic, qos: 0 }])
  await listener.ping()
})

it('topics are compared as they are: no folding, trimming or composing [MQTT-4.7.3-4], [MQTT-3.10.4-1]', async () => {
  const [client, root] = [await login(), newTopic()]
  const names = ['a/b', 'a//b', 'a/b/', '/a/b', 'A/b', 'a/b ', 'e\u0301', '\u00e9', '\ufeffa/b'].map(
    (end) => `${root}/${end}`,
  )
  for (const [at, filter] of names.entries())
    await client.subscribe([{ filter, qos: 0 }], { subscriptionIdentifiers: [at + 1] })
  for (const topic of names) await client.publish({ topic })
  const found = await client.publishes(names.length)
  expect(found.map(({ topic, properties }) => [topic, properties.subscriptionIdentifiers])).toEqual(
    names.map((topic, at) => [topic, [at + 1]]),
  )
  await client.ping()
})
