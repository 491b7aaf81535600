// MQTT 5 §4.3.3, 3.1.1 §4.3.3: the broker as the sender of QoS 2, packet by packet.
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { defaultLimits } from '../../broker/limits.ts'
import { startTestBroker, type TestBroker } from '../helpers/broker.ts'
import { byePacket, pubackPacket, pubcompPacket, publishPacket, pubrecPacket } from '../helpers/mqtt-bytes.ts'
import { loginRaw, type RawMqtt, type ServerPublish } from '../helpers/mqtt-raw.ts'

let broker: TestBroker
beforeAll(async () => {
  broker = await startTestBroker()
})
afterAll(() => broker.stop())

type Account = Readonly<{ name: string; password: string }>
const as = ({ name, password }: Account) => ({ username: name, password })
const newTopic = () => `two/${crypto.randomUUID()}`
const shown = ({ payload, packetId, dup }: ServerPublish) => [payload, packetId, dup]
const repeated = ({ payload, packetId }: ServerPublish) => [payload, packetId, true]
/** Takes these to their end. */
async function finish(subscriber: RawMqtt, ...packets: readonly (ServerPublish | undefined)[]): Promise<void> {
  subscriber.send(...packets.map((packet) => pubrecPacket(idOf(packet))))
  for (const packet of packets) expect((await subscriber.expect('pubrel')).packetId).toBe(idOf(packet))
  subscriber.send(...packets.map((packet) => pubcompPacket(idOf(packet))))
  await subscriber.ping()
}
const idOf = (packet: ServerPublish | undefined) => packet?.packetId ?? 0

describe.each([4, 5] as const)('level %i', (level) => {
  const login = (who: Account, properties = {}) => loginRaw(broker.mqttPort, { level, ...as(who), properties })

  /** A session that outlives its connections. */
  function persist(who: Account, properties = {}): Promise<RawMqtt> {
    const more = level === 5 ? { properties: { sessionExpiryInterval: 1000, ...properties } } : {}
    return loginRaw(broker.mqttPort, { level, ...as(who), clientId: 'phone', clean: false, ...more })
  }

  async function publishAll(topic: string, payloads: readonly string[], qos: 1 | 2 = 2): Promise<void> {
    const publisher = await login(await broker.account())
    for (const payload of payloads) await publisher.publish({ topic, payload, qos })
    await publisher.leave()
  }

  it.each(['clean', 'persistent'])(
    '%s: PUBLISH, PUBREC, PUBREL, PUBCOMP, under one packet id [MQTT-4.3.3-1], [MQTT-4.3.3-4]',
    async (kind) => {
      const [topic, who] = [newTopic(), await broker.account()]
      const subscriber = kind === 'clean' ? await login(who) : await persist(who)
      expect(await subscriber.subscribe([{ filter: topic, qos: 2 }])).toEqual([2])
      await publishAll(topic, ['a', 'b', 'c'])
      const got = await subscriber.publishes(3)
      expect(got.map(({ payload, qos, dup }) => [payload, qos, dup])).toEqual(
        ['a', 'b', 'c'].map((payload) => [payload, 2, false]),
      )
      expect(new Set(got.map(idOf)).size).toBe(3)
      // [MQTT-4.6.0-4]: PUBRELs leave in the order of the PUBRECs.
      const order = [2, 0, 1].map((at) => idOf(got[at]))
      subscriber.send(...order.map((id) => pubrecPacket(id)))
      for (const packetId of order) expect((await subscriber.expect('pubrel')).packetId).toBe(packetId)
      // PUBREC again: PUBREL again, until PUBCOMP; then the id is unknown.
      subscriber.send(pubrecPacket(order[0] ?? 0))
      expect(await subscriber.expect('pubrel')).toMatchObject({ packetId: order[0], reason: 0 })
      subscriber.send(...order.map((id) => pubcompPacket(id)), pubrecPacket(order[0] ?? 0))
      expect(await subscriber.expect('pubrel')).toMatchObject({ packetId: order[0], reason: level === 5 ? 0x92 : 0 })
      await subscriber.ping()
    },
  )

  it('PUBACK and PUBCOMP out of turn end nothing', async () => {
    const [topic, who] = [newTopic(), await broker.account()]
    const subscriber = await persist(who)
    await subscriber.subscribe([{ filter: topic, qos: 2 }])
    await publishAll(topic, ['a'])
    const packet = await subscriber.expect('publish')
    subscriber.send(pubackPacket(packet.packetId), pubcompPacket(packet.packetId))
    await subscriber.ping()
    await subscriber.break()
    const again = await persist(who)
    expect(shown(await again.expect('publish'))).toEqual(repeated(packet))
  })

  it('sends on a new connection what was not answered: PUBLISH with DUP, or PUBREL, in order [MQTT-4.4.0-1], [MQTT-4.3.3-6]', async () => {
    const [topic, who] = [newTopic(), await broker.account()]
    let subscriber = await persist(who)
    await subscriber.subscribe([{ filter: topic, qos: 2 }])
    await publishAll(topic, ['a', 'b', 'c', 'd'])
    const got = await subscriber.publishes(4)
    subscriber.send(pubrecPacket(idOf(got[0])), pubrecPacket(idOf(got[2])))
    for (const at of [0, 2]) expect((await subscriber.expect('pubrel')).packetId).toBe(idOf(got[at]))
    subscriber.send(pubcompPacket(idOf(got[0])))
    await subscriber.ping()
    await subscriber.break()
    subscriber = await persist(who)
    expect(shown(await subscriber.expect('publish'))).toEqual(repeated(got[1] as ServerPublish))
    expect((await subscriber.expect('pubrel')).packetId).toBe(idOf(got[2]))
    expect(shown(await subscriber.expect('publish'))).toEqual(repeated(got[3] as ServerPublish))
    subscriber.send(pubcompPacket(idOf(got[2])))
    await finish(subscriber, got[1], got[3])
    await subscriber.leave()
    await (await persist(who)).ping()
  })

  it('a PUBREC that the broker had before the connection broke is followed by PUBREL on the next', async () => {
    const [topic, who] = [newTopic(), await broker.account()]
    const first = await persist(who)
    await first.subscribe([{ filter: topic, qos: 2 }])
    await publishAll(topic, ['a'])
    const packet = await first.expect('publish')
    first.send(pubrecPacket(packet.packetId), byePacket)
    const again = await persist(who)
    expect((await again.expect('pubrel')).packetId).toBe(packet.packetId)
    again.send(pubcompPacket(packet.packetId))
    await again.ping()
  })

  it('goes on after a restart with the same packet ids, each at its step', async () => {
    const [topic, who] = [newTopic(), await broker.account()]
    let subscriber = await persist(who)
    await subscriber.subscribe([{ filter: topic, qos: 2 }])
    await publishAll(topic, ['a', 'b', 'c', 'd'])
    const got = await subscriber.publishes(4)
    subscriber.send(...[0, 1, 3].map((at) => pubrecPacket(idOf(got[at]))))
    for (let i = 0; i < 3; i++) await subscriber.expect('pubrel')
    subscriber.send(pubcompPacket(idOf(got[3])))
    await subscriber.ping()
    await publishAll(topic, ['one'], 1)
    const one = await subscriber.expect('publish')
    expect(one).toMatchObject({ payload: 'one', qos: 1 })
    broker = await broker.restart()
    subscriber = await persist(who)
    // [MQTT-4.3.3-5]; d is over.
    for (const at of [0, 1]) expect((await subscriber.expect('pubrel')).packetId).toBe(idOf(got[at]))
    expect(shown(await subscriber.expect('publish'))).toEqual(repeated(got[2] as ServerPublish))
    expect(shown(await subscriber.expect('publish'))).toEqual(repeated(one))
    subscriber.send(...[0, 1].map((at) => pubcompPacket(idOf(got[at]))), pubackPacket(one.packetId))
    await publishAll(topic, ['e'])
    const e = await subscriber.expect('publish')
    expect(e).toMatchObject({ payload: 'e', dup: false })
    await finish(subscriber, got[2], e)
    await subscriber.leave()
    broker = await broker.restart()
    await (await persist(who)).ping()
  })

  it('what waits for an offline session comes in order with the QoS of each (§4.6)', async () => {
    const [topic, who] = [newTopic(), await broker.account()]
    const first = await persist(who)
    await first.subscribe([{ filter: topic, qos: 2 }])
    await first.leave()
    const publisher = await login(await broker.account())
    for (let i = 0; i < 200; i++) await publisher.publish({ topic, payload: `${i}`, qos: i % 3 === 0 ? 1 : 2 })
    const subscriber = await persist(who)
    subscriber.autoAck = true
    const got = await subscriber.publishes(200)
    expect(got.map(({ payload, qos }) => [payload, qos])).toEqual(
      Array.from({ length: 200 }, (_, i) => [`${i}`, i % 3 === 0 ? 1 : 2]),
    )
    await subscriber.ping()
  })
})

it('keeps to the Receive Maximum of the client until PUBCOMP [MQTT-3.3.4-9]', async () => {
  const [topic, who] = [newTopic(), await broker.account()]
  const subscriber = await loginRaw(broker.mqttPort, { ...as(who), properties: { receiveMaximum: 2 } })
  await subscriber.subscribe([{ filter: topic, qos: 2 }])
  const publisher = await loginRaw(broker.mqttPort, as(await broker.account()))
  for (const payload of ['a', 'b', 'c']) await publisher.publish({ topic, payload, qos: payload === 'a' ? 1 : 2 })
  const [a, b] = await subscriber.publishes(2)
  await subscriber.ping()
  subscriber.send(pubrecPacket(idOf(b)))
  await subscriber.expect('pubrel')
  await subscriber.ping()
  subscriber.send(pubcompPacket(idOf(b)))
  expect((await subscriber.expect('publish')).payload).toBe('c')
  subscriber.send(pubackPacket(idOf(a)))
  await subscriber.ping()
})

it('a PUBREC of 0x80 and above ends the delivery [MQTT-4.3.3-4], also in the store', async () => {
  const [topic, who] = [newTopic(), await broker.account()]
  const fields = { ...as(who), clientId: 'phone', clean: false }
  const properties = { sessionExpiryInterval: 1000, receiveMaximum: 1 }
  const subscriber = await loginRaw(broker.mqttPort, { ...fields, properties })
  await subscriber.subscribe([{ filter: topic, qos: 2 }])
  const publisher = await loginRaw(broker.mqttPort, as(await broker.account()))
  for (const payload of ['a', 'b']) await publisher.publish({ topic, payload, qos: 2 })
  subscriber.send(pubrecPacket(idOf(await subscriber.expect('publish')), 0x97))
  const b = await subscriber.expect('publish')
  expect(b.payload).toBe('b')
  subscriber.send(pubrecPacket(b.packetId))
  await subscriber.expect('pubrel')
  await subscriber.break()
  broker = await broker.restart()
  const again = await loginRaw(broker.mqttPort, { ...fields, properties })
  expect((await again.expect('pubrel')).packetId).toBe(b.packetId)
  again.send(pubcompPacket(b.packetId))
  await again.ping()
})

it('does not let what is in flight expire or overflow [MQTT-4.3.3-7]; its packet id waits for its PUBREL', async () => {
  await broker.stop()
  broker = await startTestBroker({ limits: { ...defaultLimits, queueMessages: 10, sendWindow: 2 } })
  const [topic, who] = [newTopic(), await broker.account()]
  const fields = { ...as(who), clientId: 'phone', clean: false, properties: { sessionExpiryInterval: 1000 } }
  const subscriber = await loginRaw(broker.mqttPort, fields)
  await subscriber.subscribe([{ filter: topic, qos: 2 }])
  const watcher = await loginRaw(broker.mqttPort, as(who))
  await watcher.subscribe([`u/${who.name}/err`])
  const publisher = await loginRaw(broker.mqttPort, as(await broker.account()))
  const properties = { messageExpiryInterval: 1 }
  for (let i = 0; i < 30; i++) await publisher.publish({ topic, payload: `${i}`, qos: 2, ...(i < 2 && { properties }) })
  const [a, b] = await subscriber.publishes(2)
  subscriber.send(pubrecPacket(idOf(a)))
  await subscriber.expect('pubrel')
  const notice = await watcher.expect('publish')
  expect(JSON.parse(notice.payload)).toMatchObject({ code: 'queue-overflow', clientId: 'phone' })
  await subscriber.break()
  broker = await broker.restart()
  const again = await loginRaw(broker.mqttPort, fields)
  expect((await again.expect('pubrel')).packetId).toBe(idOf(a))
  expect(shown(await again.expect('publish'))).toEqual(repeated(b as ServerPublish))
  again.autoAck = true
  again.send(pubcompPacket(idOf(a)), pubrecPacket(idOf(b)))
  // The newest that fit, behind the one more that might have been in flight.
  const rest = ['2', ...Array.from({ length: 9 }, (_, i) => `${21 + i}`)]
  expect((await again.publishes(rest.length)).map(({ payload }) => payload)).toEqual(rest)
  await again.ping()
})

it('a message that is too large for its client is done with [MQTT-3.1.2-25]', async () => {
  const [topic, who] = [newTopic(), await broker.account()]
  const properties = { sessionExpiryInterval: 1000, maximumPacketSize: 200, receiveMaximum: 1 }
  const subscriber = await loginRaw(broker.mqttPort, { ...as(who), clientId: 'tiny', clean: false, properties })
  await subscriber.subscribe([{ filter: topic, qos: 2 }])
  const publisher = await loginRaw(broker.mqttPort, as(await broker.account()))
  publisher.send(publishPacket(5, { topic, payload: 'x'.repeat(500), qos: 2, packetId: 1 }))
  publisher.send(publishPacket(5, { topic, payload: 'small', qos: 2, packetId: 2 }))
  expect((await subscriber.expect('publish')).payload).toBe('small')
})
