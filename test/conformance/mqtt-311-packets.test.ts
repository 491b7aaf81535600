// MQTT 3.1.1 §1.5.3, §2, §4.7.3, §4.8 and the bits of chapter 3: strings, headers, and what a client may not send.
import { afterAll, beforeAll, expect, it } from 'vitest'
import { defaultLimits } from '../../broker/limits.ts'
import { startTestBroker, type TestBroker } from '../helpers/broker.ts'
import {
  pingPacket,
  pubackPacket,
  pubcompPacket,
  publishPacket,
  pubrecPacket,
  subscribePacket,
  unsubscribePacket,
} from '../helpers/mqtt-bytes.ts'
import { loginRaw } from '../helpers/mqtt-raw.ts'
import { bytes } from '../vectors/mqtt-notation.ts'

let broker: TestBroker
let who: Readonly<{ username: string; password: string }>
beforeAll(async () => {
  broker = await startTestBroker()
  const { name, password } = await broker.account()
  who = { username: name, password }
})
afterAll(() => broker.stop())

const login = () => loginRaw(broker.mqttPort, { level: 4, ...who })

/** Each packet ends its connection without an answer [MQTT-4.8.0-1], and no other. */
async function closesAt(...packets: readonly string[]): Promise<void> {
  const witness = await login()
  await witness.subscribe(['#'])
  for (const packet of packets) {
    const client = await login()
    client.send(bytes(packet))
    expect([packet, await client.ended()]).toEqual([packet, null])
  }
  await witness.ping()
}

it('closes where a string is not UTF-8 [MQTT-1.5.3-1], [MQTT-3.3.2-1], [MQTT-3.8.3-1], [MQTT-3.10.3-1]', () =>
  closesAt(
    '30 ~ 00 01 ff',
    '30 ~ 00 03 ed a0 80',
    '32 ~ 00 02 c0 af 00 01',
    '82 ~ 00 01 00 02 c3 28 00',
    'a2 ~ 00 01 00 02 e2 82',
  ))

it('closes where a string has U+0000 [MQTT-1.5.3-2], [MQTT-4.7.3-2]', () =>
  closesAt('30 ~ 00 03 61 00 62', '82 ~ 00 01 00 02 61 00 00', 'a2 ~ 00 01 00 01 00'))

it('keeps U+FEFF where it stands [MQTT-1.5.3-3]', async () => {
  const client = await login()
  await client.subscribe(['\uFEFFbom/\uFEFF', 'bom/\uFEFF'])
  await client.publish({ topic: '\uFEFFbom/\uFEFF', payload: 'x', qos: 0 })
  const { topic } = await client.expect('publish')
  expect(Buffer.from(topic)).toEqual(Buffer.from('\uFEFFbom/\uFEFF'))
  await client.ping()
})

it('closes where reserved flags of a fixed header are set [MQTT-2.2.2-1], [MQTT-2.2.2-2]', () =>
  closesAt('41 02 00 01', '52 02 00 01', '78 02 00 01', 'c1 00', 'e4 00', `11 ~ 'MQTT' 04 02 00 00 'a'`))

it('closes where PUBREL, SUBSCRIBE or UNSUBSCRIBE lack their flag [MQTT-3.6.1-1], [MQTT-3.8.1-1], [MQTT-3.10.1-1]', () =>
  closesAt('60 02 00 01', '63 02 00 01', `80 ~ 00 01 'a' 00`, `8a ~ 00 01 'a' 00`, `a0 ~ 00 01 'a'`, `a3 ~ 00 01 'a'`))

it('closes at packet identifier 0 [MQTT-2.3.1-1]', () =>
  closesAt(`32 ~ 'a' 00 00`, `34 ~ 'a' 00 00`, `82 ~ 00 00 'a' 00`, `a2 ~ 00 00 'a'`))

it('finds no packet identifier in a PUBLISH of QoS 0, and writes none [MQTT-2.3.1-5]', async () => {
  const client = await login()
  await client.subscribe([{ filter: 'no/id', qos: 2 }])
  const seen: Buffer[] = []
  client.socket.on('data', (chunk: Buffer) => seen.push(chunk))
  const packet = bytes(`30 ~ 'no/id' 00 01 "hi"`)
  client.send(packet)
  expect((await client.expect('publish')).bytes).toEqual(bytes('00 01 "hi"'))
  expect(Buffer.concat(seen)).toEqual(packet)
})

it('closes at PUBLISH with DUP and QoS 0, and with QoS 3 [MQTT-3.3.1-2], [MQTT-3.3.1-4]', () =>
  closesAt(`38 ~ 'a' "x"`, `36 ~ 'a' 00 01 "x"`, `3e ~ 'a' 00 01 "x"`))

it('closes at PUBLISH to a topic that is empty or has a wildcard [MQTT-3.3.2-2], [MQTT-4.7.1-1], [MQTT-4.7.3-1]', () =>
  closesAt(`30 ~ '' "x"`, `30 ~ 'a/#' "x"`, `32 ~ '+' 00 01`, `34 ~ 'a+b' 00 01`))

it('closes at SUBSCRIBE and UNSUBSCRIBE without a filter [MQTT-3.8.3-3], [MQTT-3.10.3-2]', () =>
  closesAt('82 02 00 01', 'a2 02 00 01'))

it('closes at a reserved bit, or at QoS 3, of a filter [MQTT-3.8.3-4]', () =>
  closesAt(`82 ~ 00 01 'a' 03`, ...['04', '08', '10', '20', '40', '80'].map((bits) => `82 ~ 00 01 'a' 00 'b' ${bits}`)))

it('closes at a packet that only a server sends, and at one of no type [MQTT-4.8.0-1]', () =>
  closesAt('20 02 00 00', '90 03 00 01 00', 'b0 02 00 01', 'd0 00', '00 00', 'f0 00'))

it('takes topics and filters up to its limit, and refuses the longest that a string can have [MQTT-4.7.3-3]', async () => {
  const client = await login()
  const [topic, longest] = ['x'.repeat(defaultLimits.topicBytes), 'x'.repeat(65_535)]
  expect(await client.subscribe([topic, longest])).toEqual([1, 0x80])
  for (const name of [longest, topic]) await client.publish({ topic: name, payload: 'x' })
  expect((await client.expect('publish')).topic).toBe(topic)
  await client.ping()
})

it('compares topics and filters as they are written [MQTT-4.7.3-4]', async () => {
  const [topic, publisher, subscriber] = ['spelling', await login(), await login()]
  subscriber.autoAck = true
  const spellings = ['é', 'e\u0301', 'É', 'é ', 'é/', '/é', '\u212B', '\u00C5'].map((end) => `${topic}/${end}`)
  for (const filter of spellings) {
    await subscriber.subscribe([filter])
    for (const name of spellings) await publisher.publish({ topic: name, payload: name, qos: 1 })
    expect(await subscriber.expect('publish')).toMatchObject({ topic: filter, payload: filter })
    await subscriber.ping()
    await subscriber.unsubscribe([filter])
  }
})

it('answers SUBSCRIBE and UNSUBSCRIBE under their packet ids [MQTT-2.3.1-7], [MQTT-3.8.4-1], [MQTT-3.8.4-2], [MQTT-3.10.4-4]', async () => {
  const client = await login()
  for (const packetId of [1, 0x1234, 0xffff]) {
    client.send(subscribePacket(4, packetId, [{ filter: 'some' }]), unsubscribePacket(4, packetId, ['a']))
    expect(await client.expect('suback')).toMatchObject({ packetId })
    expect(await client.expect('unsuback')).toMatchObject({ packetId })
  }
})

it('answers every PINGREQ [MQTT-3.12.4-1]', async () => {
  const client = await login()
  client.send(pingPacket, pingPacket, pingPacket)
  for (let i = 0; i < 3; i++) await client.expect('pingresp')
  await client.ping()
})

it('takes PUBACK, PUBREC and PUBREL in any order [MQTT-4.6.0-2] to [MQTT-4.6.0-4]', async () => {
  const [publisher, subscriber] = [await login(), await login()]
  await subscriber.subscribe([{ filter: 'any/order', qos: 2 }])
  const sent = [1, 1, 2, 2] as const
  publisher.send(...sent.map((qos, i) => publishPacket(4, { topic: 'any/order', qos, packetId: i + 1 })))
  for (const kind of ['puback', 'puback', 'pubrec', 'pubrec'] as const) await publisher.expect(kind)
  for (const id of [4, 3]) expect(await publisher.release(id)).toBe(0)
  for (const { qos, packetId } of (await subscriber.publishes(4)).reverse()) {
    subscriber.send(qos === 1 ? pubackPacket(packetId) : pubrecPacket(packetId))
    if (qos === 1) continue
    expect(await subscriber.expect('pubrel')).toMatchObject({ packetId })
    subscriber.send(pubcompPacket(packetId))
  }
  await subscriber.ping()
})
