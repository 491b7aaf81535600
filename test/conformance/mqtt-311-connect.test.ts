// MQTT 3.1.1 §3.1, §3.2, §3.12, §3.14: what docs/mqtt-conformance-3.1.1.md needs and no other suite shows.
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { startTestBroker, type TestBroker } from '../helpers/broker.ts'
import {
  byePacket,
  type ConnectFields,
  connectPacket,
  pingPacket,
  publishPacket,
  subscribePacket,
} from '../helpers/mqtt-bytes.ts'
import { loginRaw, RawMqtt } from '../helpers/mqtt-raw.ts'
import { bytes } from '../vectors/mqtt-notation.ts'

let broker: TestBroker
let who: Readonly<{ username: string; password: string }>
let names = 0
beforeAll(async () => {
  broker = await startTestBroker()
  const { name, password } = await broker.account()
  who = { username: name, password }
})
afterAll(() => broker.stop())

const newName = () => `c${++names}`
const login = (fields: ConnectFields = {}) => loginRaw(broker.mqttPort, { level: 4, ...who, ...fields })

async function watch(topic: string): Promise<RawMqtt> {
  const watcher = await login()
  await watcher.subscribe([topic])
  return watcher
}

/** Each packet, alone on a connection, is answered with nothing but the end. */
async function refuses(...packets: readonly string[]): Promise<void> {
  for (const packet of packets) {
    const client = new RawMqtt(broker.mqttPort, 4)
    client.send(bytes(packet))
    expect([packet, await client.ended()]).toEqual([packet, null])
  }
}

describe('CONNECT is answered with the end alone', () => {
  it('where it is of another protocol [MQTT-3.1.2-1]', () =>
    refuses(`10 ~ 'HTTP' 04 02 00 00 'a'`, `10 ~ 'mqtt' 04 02 00 00 'a'`))

  it('where its flags are wrong [MQTT-3.1.2-3], [MQTT-3.1.2-13] to [MQTT-3.1.2-15], [MQTT-3.1.2-22]', () =>
    refuses(
      `10 ~ 'MQTT' 04 03 00 00 'a'`,
      `10 ~ 'MQTT' 04 0a 00 00 'a'`,
      `10 ~ 'MQTT' 04 1e 00 00 'a' 'w' 'x'`,
      `10 ~ 'MQTT' 04 22 00 00 'a'`,
      `10 ~ 'MQTT' 04 42 00 00 'a' 'p'`,
    ))

  it('where a field is missing that the flags announce [MQTT-3.1.2-9], [MQTT-3.1.2-19], [MQTT-3.1.2-21], [MQTT-3.1.3-3]', () =>
    refuses(
      `10 ~ 'MQTT' 04 06 00 00 'a'`,
      `10 ~ 'MQTT' 04 06 00 00 'a' 'w'`,
      `10 ~ 'MQTT' 04 82 00 00 'a'`,
      `10 ~ 'MQTT' 04 c2 00 00 'a' 'u'`,
      `10 ~ 'MQTT' 04 02 00 00`,
    ))

  it('where a field stands that the flags do not announce [MQTT-3.1.2-11], [MQTT-3.1.2-18], [MQTT-3.1.2-20]', () =>
    refuses(
      `10 ~ 'MQTT' 04 02 00 00 'a' 'w' 'x'`,
      `10 ~ 'MQTT' 04 02 00 00 'a' 'u'`,
      `10 ~ 'MQTT' 04 82 00 00 'a' 'u' 'p'`,
    ))

  it('where a string of it is not UTF-8 [MQTT-3.1.3-4], [MQTT-3.1.3-10], [MQTT-3.1.3-11]', () =>
    refuses(
      `10 ~ 'MQTT' 04 02 00 00 00 01 ff`,
      `10 ~ 'MQTT' 04 06 00 00 'a' 00 02 c3 28 'x'`,
      `10 ~ 'MQTT' 04 82 00 00 'a' 00 03 ed a0 80`,
    ))
})

it('answers a level that it does not know with return code 1 and the end [MQTT-3.1.2-2]', async () => {
  for (const level of ['00', '01', '02']) {
    const client = new RawMqtt(broker.mqttPort, 4)
    client.send(bytes(`10 ~ 'MQTT' ${level} 02 00 00 'a'`))
    expect(await client.expect('connack')).toMatchObject({ reason: 1, sessionPresent: false })
    expect(await client.ended()).toBeNull()
  }
})

it('reads the fields of CONNECT in their order [MQTT-3.1.3-1], and its CONNACK comes first [MQTT-3.1.4-4], [MQTT-3.2.0-1]', async () => {
  const [clientId, topic] = [newName(), newName()]
  const fields = { clientId, clean: false, will: { topic: `${topic}/will`, payload: 'last words' } }
  const first = await login(fields)
  await first.subscribe([`${topic}/queue`])
  const watcher = await watch(`${topic}/will`)
  await first.break()
  expect(await watcher.expect('publish')).toMatchObject({ topic: `${topic}/will`, payload: 'last words' })
  await watcher.publish({ topic: `${topic}/queue`, payload: 'waiting', qos: 1 })
  const second = new RawMqtt(broker.mqttPort, 4)
  const behind = [subscribePacket(4, 9, [{ filter: topic }]), pingPacket]
  second.send(connectPacket({ level: 4, ...who, ...fields }), ...behind)
  expect(await second.next()).toMatchObject({ kind: 'connack', reason: 0, sessionPresent: true })
  const rest = [await second.next(), await second.next(), await second.next()].map(({ kind }) => kind)
  expect(rest.toSorted()).toEqual(['pingresp', 'publish', 'suback'])
})

it('takes every client id of 1 to 23 letters and digits [MQTT-3.1.3-5]', async () => {
  const ids = ['0', 'z', '0123456789abcdefghijklm', 'nopqrstuvwxyzABCDEFGHIJ', 'KLMNOPQRSTUVWXYZ']
  for (const clientId of ids) await (await login({ clientId })).ping()
})

it('knows a session by its client id, letter by letter [MQTT-3.1.3-2], and makes one where there is none [MQTT-3.2.2-3]', async () => {
  const clientId = newName()
  for (const [id, isPresent] of [
    [clientId, false],
    [clientId.toUpperCase(), false],
    [clientId, true],
  ] as const) {
    const client = new RawMqtt(broker.mqttPort, 4)
    expect((await client.connect({ ...who, clientId: id, clean: false })).sessionPresent).toBe(isPresent)
    await client.leave()
  }
})

it('starts with nothing where the session is clean, and keeps nothing of it [MQTT-3.1.2-6], [MQTT-3.1.4-3], [MQTT-3.2.2-1]', async () => {
  const [clientId, topic] = [newName(), newName()]
  const publisher = await login()
  const kept = await login({ clientId, clean: false })
  await kept.subscribe([topic])
  await kept.leave()
  await publisher.publish({ topic, payload: 'queued', qos: 1 })
  for (const clean of [true, false]) {
    const client = new RawMqtt(broker.mqttPort, 4)
    expect((await client.connect({ ...who, clientId, clean })).sessionPresent).toBe(false)
    await publisher.publish({ topic, payload: 'nobody subscribes', qos: 1 })
    await client.ping()
    if (clean) await client.subscribe([topic])
    await client.leave()
  }
})

it('does nothing of what stands behind a CONNECT that it refuses [MQTT-3.1.4-5], and says 0 for Session Present [MQTT-3.2.2-4]', async () => {
  const [clientId, topic] = [newName(), newName()]
  await (await login({ clientId, clean: false })).leave()
  const watcher = await watch(topic)
  const client = new RawMqtt(broker.mqttPort, 4)
  client.send(
    connectPacket({ level: 4, ...who, password: 'wrong', clientId, clean: false }),
    publishPacket(4, { topic, payload: 'from a stranger', qos: 1 }),
    pingPacket,
  )
  expect(await client.expect('connack')).toMatchObject({ reason: 4, sessionPresent: false })
  // [MQTT-3.2.2-5]
  expect(await client.ended()).toBeNull()
  await watcher.ping()
})

it('keeps retained messages when the session of their publisher ends [MQTT-3.1.2-7]', async () => {
  const topic = newName()
  const publisher = await login()
  await publisher.publish({ topic, payload: 'kept', qos: 1, retain: true })
  await publisher.leave()
  expect(await (await watch(topic)).expect('publish')).toMatchObject({ payload: 'kept', retain: true })
})

describe('a Will', () => {
  it('is published once and not retained unless it says so [MQTT-3.1.2-10], [MQTT-3.1.2-16]', async () => {
    const [clientId, topic] = [newName(), newName()]
    const watcher = await watch(topic)
    const will = { topic, payload: 'gone', qos: 1 } as const
    await (await login({ clientId, clean: false, will })).break()
    expect(await watcher.expect('publish')).toMatchObject({ payload: 'gone', qos: 1, retain: false })
    await (await watch(topic)).ping()
    // Its session lives on without a Will [MQTT-3.1.2-12].
    await (await login({ clientId, clean: false })).break()
    await (await login({ clientId, clean: true })).ping()
    await watcher.ping()
  })

  it('is discarded at DISCONNECT, and what stands behind that is not read [MQTT-3.14.4-1] to [MQTT-3.14.4-3]', async () => {
    const topic = newName()
    const watcher = await watch(topic)
    const client = await login({ will: { topic, payload: 'gone' } })
    client.send(byePacket, publishPacket(4, { topic, payload: 'late' }), pingPacket)
    expect(await client.ended()).toBeNull()
    await watcher.ping()
  })

  it('is published when DISCONNECT is malformed [MQTT-3.14.1-1]', async () => {
    const topic = newName()
    const watcher = await watch(topic)
    for (const packet of ['e1 00', 'e8 00', 'e0 01 00']) {
      const client = await login({ will: { topic, payload: packet } })
      client.send(bytes(packet))
      expect(await client.ended()).toBeNull()
      expect(await watcher.expect('publish')).toMatchObject({ payload: packet })
    }
  })
})
