// MQTT 5 §4.3.3, 3.1.1 §4.3.3: the broker as the receiver of QoS 2, packet by packet.
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { startTestBroker, type TestBroker } from '../helpers/broker.ts'
import { type ConnectFields, type PublishFields, publishPacket, pubrelPacket } from '../helpers/mqtt-bytes.ts'
import { loginRaw, type RawMqtt } from '../helpers/mqtt-raw.ts'

let broker: TestBroker
beforeAll(async () => {
  broker = await startTestBroker()
})
afterAll(() => broker.stop())

type Account = Readonly<{ name: string; password: string }>
const as = ({ name, password }: Account) => ({ username: name, password })
const newTopic = () => `two/${crypto.randomUUID()}`

describe.each([4, 5] as const)('level %i', (level) => {
  /** A session that outlives its connections. */
  function persist(who: Account, clientId: string, properties = {}): Promise<RawMqtt> {
    const fields: ConnectFields = { level, ...as(who), clientId, clean: false }
    const more = level === 5 ? { properties: { sessionExpiryInterval: 1000, ...properties } } : {}
    return loginRaw(broker.mqttPort, { ...fields, ...more })
  }

  async function watch(topic: string, qos: 0 | 1 | 2 = 2): Promise<RawMqtt> {
    const watcher = await loginRaw(broker.mqttPort, { level, ...as(await broker.account()) })
    expect(await watcher.subscribe([{ filter: topic, qos }])).toEqual([qos])
    return watcher
  }

  const publish = (fields: PublishFields) => publishPacket(level, { qos: 2, ...fields })

  it('answers PUBLISH with PUBREC and PUBREL with PUBCOMP, in order and by packet id [MQTT-4.3.3-8], [MQTT-4.3.3-11]', async () => {
    const topic = newTopic()
    const [watcher, publisher] = [
      await watch(topic),
      await loginRaw(broker.mqttPort, { level, ...as(await broker.account()) }),
    ]
    const ids = [700, 3, 65_535]
    publisher.send(...ids.map((packetId) => publish({ topic, payload: `${packetId}`, packetId })))
    // [MQTT-4.6.0-3]
    for (const packetId of ids) expect(await publisher.expect('pubrec')).toMatchObject({ packetId, reason: 0 })
    // They are delivered without waiting for PUBREL.
    expect((await watcher.publishes(3)).map(({ payload, qos, dup }) => [payload, qos, dup])).toEqual(
      ids.map((packetId) => [`${packetId}`, 2, false]),
    )
    publisher.send(...ids.map(pubrelPacket))
    for (const packetId of ids) expect(await publisher.expect('pubcomp')).toMatchObject({ packetId, reason: 0 })
    await publisher.ping()
  })

  it('publishes a packet id once until its PUBREL, and anew behind it [MQTT-4.3.3-10], [MQTT-4.3.3-12]', async () => {
    const topic = newTopic()
    const watcher = await watch(topic)
    watcher.autoAck = true
    const publisher = await loginRaw(broker.mqttPort, { level, ...as(await broker.account()) })
    publisher.send(publish({ topic, payload: 'first', packetId: 9 }))
    await publisher.expect('pubrec')
    publisher.send(
      publish({ topic, payload: 'repeat', packetId: 9, dup: true }),
      publish({ topic, payload: 'x', packetId: 9 }),
    )
    for (let i = 0; i < 2; i++) expect(await publisher.expect('pubrec')).toMatchObject({ packetId: 9, reason: 0 })
    expect(await publisher.release(9)).toBe(0)
    publisher.send(publish({ topic, payload: 'second', packetId: 9, dup: true }))
    await publisher.expect('pubrec')
    expect((await watcher.publishes(2)).map(({ payload }) => payload)).toEqual(['first', 'second'])
    await watcher.ping()
  })

  it('answers a PUBREL of what it does not know with PUBCOMP (MQTT 5: 0x92, §3.7.2.1)', async () => {
    const publisher = await loginRaw(broker.mqttPort, { level, ...as(await broker.account()) })
    expect(await publisher.release(77)).toBe(level === 5 ? 0x92 : 0)
    await publisher.ping()
  })

  it('knows a repeat on a new connection of a persistent session, at each step [MQTT-4.4.0-1]', async () => {
    const [topic, who] = [newTopic(), await broker.account()]
    const watcher = await watch(topic)
    watcher.autoAck = true
    let publisher = await persist(who, 'pump')
    // PUBREC is lost, perhaps before the broker has written it.
    publisher.send(publish({ topic, payload: 'once', packetId: 5 }))
    await watcher.expect('publish')
    await publisher.break()
    publisher = await persist(who, 'pump')
    publisher.send(publish({ topic, payload: 'once', packetId: 5, dup: true }))
    expect(await publisher.expect('pubrec')).toMatchObject({ packetId: 5, reason: 0 })
    // PUBREL is lost.
    await publisher.break()
    publisher = await persist(who, 'pump')
    publisher.send(pubrelPacket(5))
    // PUBCOMP is lost, perhaps.
    await publisher.break()
    publisher = await persist(who, 'pump')
    publisher.send(pubrelPacket(5))
    expect((await publisher.expect('pubcomp')).packetId).toBe(5)
    publisher.send(publish({ topic, payload: 'another', packetId: 5 }))
    await publisher.expect('pubrec')
    expect((await watcher.expect('publish')).payload).toBe('another')
    await watcher.ping()
  })

  it('a clean start forgets packet ids with the session [MQTT-3.1.2-4]', async () => {
    const [topic, who] = [newTopic(), await broker.account()]
    const watcher = await watch(topic, 0)
    const publisher = await persist(who, 'pump')
    publisher.send(publish({ topic, payload: '1', packetId: 5 }))
    await publisher.expect('pubrec')
    await publisher.break()
    const anew = await loginRaw(broker.mqttPort, { level, ...as(who), clientId: 'pump', clean: true })
    anew.send(publish({ topic, payload: '2', packetId: 5, dup: true }))
    await anew.expect('pubrec')
    expect((await watcher.publishes(2)).map(({ payload }) => payload)).toEqual(['1', '2'])
  })

  it('ends a connection that uses a packet id out of turn [MQTT-2.2.1-4]', async () => {
    const [topic, who] = [newTopic(), await broker.account()]
    const publisher = await persist(who, 'pump')
    publisher.send(publish({ topic, payload: '1', packetId: 5 }), pubrelPacket(5))
    expect(await publisher.ended()).toBe(level === 5 ? 0x82 : null)
  })

  it('takes a QoS 2 message at a door once per packet id (DESIGN §2)', async () => {
    const [alice, bob] = [await broker.account(), await broker.account()]
    const reader = await loginRaw(broker.mqttPort, { level, ...as(bob) })
    expect(await reader.subscribe([{ filter: `u/${bob.name}/text`, qos: 2 }])).toEqual([1])
    let sender = await persist(alice, 'phone')
    sender.send(publish({ topic: `u/${bob.name}/in`, payload: 'hello', packetId: 4 }))
    const { properties } = await sender.expect('pubrec')
    if (level === 5) expect(properties.userProperties?.map(([key]) => key)).toEqual(['cb-id'])
    await sender.break()
    sender = await persist(alice, 'phone')
    sender.send(publish({ topic: `u/${bob.name}/in`, payload: 'hello', packetId: 4, dup: true }))
    await sender.expect('pubrec')
    expect(await sender.release(4)).toBe(0)
    expect((await reader.expect('publish')).payload).toBe(`${alice.name}: hello`)
    await reader.ping()
  })

  it('a refused publish frees its packet id [MQTT-4.3.3-9]', async () => {
    const publisher = await loginRaw(broker.mqttPort, { level, ...as(await broker.account()) })
    publisher.send(publish({ topic: 'u/somebody/msg', payload: 'x', packetId: 8 }))
    expect(await publisher.expect('pubrec')).toMatchObject({ packetId: 8, reason: level === 5 ? 0x87 : 0 })
    expect(await publisher.release(8)).toBe(level === 5 ? 0x92 : 0)
    expect(await publisher.publish({ topic: newTopic(), payload: 'y', qos: 2, packetId: 8 })).toMatchObject({
      reason: 0,
    })
  })

  it('keeps a retained message with its QoS, and replays it with the lower one [MQTT-3.3.1-5]', async () => {
    const topic = newTopic()
    const publisher = await loginRaw(broker.mqttPort, { level, ...as(await broker.account()) })
    await publisher.publish({ topic, payload: 'kept', qos: 2, retain: true })
    for (const qos of [2, 1, 0] as const) {
      const watcher = await watch(topic, qos)
      expect(await watcher.expect('publish')).toMatchObject({ payload: 'kept', qos, retain: true })
    }
  })

  it('knows after a restart what was received, and forgets nothing but what was released', async () => {
    const [topic, who] = [newTopic(), await broker.account()]
    const queued = await persist(who, 'queue')
    await queued.subscribe([{ filter: topic, qos: 1 }])
    await queued.leave()
    const publisher = await persist(who, 'pump')
    for (const packetId of [1, 2, 3]) publisher.send(publish({ topic, payload: `${packetId}`, packetId }))
    for (let i = 0; i < 3; i++) await publisher.expect('pubrec')
    publisher.send(publish({ topic: newTopic(), payload: 'nobody subscribes', packetId: 4 }))
    await publisher.expect('pubrec')
    expect(await publisher.release(2)).toBe(0)
    await publisher.break()
    broker = await broker.restart()
    const again = await persist(who, 'pump')
    for (const packetId of [1, 2, 3]) again.send(publish({ topic, payload: `again ${packetId}`, packetId, dup: true }))
    for (let i = 0; i < 3; i++) await again.expect('pubrec')
    expect(await again.release(4)).toBe(0)
    const reader = await persist(who, 'queue')
    expect((await reader.publishes(4)).map(({ payload }) => payload)).toEqual(['1', '2', '3', 'again 2'])
    await reader.ping()
  })
})

it('counts QoS 1 and 2 together, until PUBACK or PUBCOMP, against its Receive Maximum [MQTT-3.3.4-7]', async () => {
  const topic = newTopic()
  const publisher = await loginRaw(broker.mqttPort, as(await broker.account()))
  const two = (packetId: number) => publishPacket(5, { topic, payload: 'x', qos: 2, packetId })
  const one = (packetId: number) => publishPacket(5, { topic, payload: 'x', qos: 1, packetId })
  for (let packetId = 1; packetId <= 64; packetId++) publisher.send(two(packetId))
  for (let i = 0; i < 64; i++) await publisher.expect('pubrec')
  // A repeat is none more; after a PUBCOMP there is room for one.
  publisher.send(two(64))
  await publisher.expect('pubrec')
  expect(await publisher.release(1)).toBe(0)
  publisher.send(one(100))
  await publisher.expect('puback')
  publisher.send(two(1))
  await publisher.expect('pubrec')
  publisher.send(one(101))
  expect(await publisher.ended()).toBe(0x93)
})

it('a 3.1.1 client may have any number of publishes unreleased: its PUBRELs are still read', async () => {
  const topic = newTopic()
  const publisher = await loginRaw(broker.mqttPort, { level: 4, ...as(await broker.account()) })
  const ids = Array.from({ length: 300 }, (_, i) => i + 1)
  publisher.send(...ids.map((packetId) => publishPacket(4, { topic, payload: 'x', qos: 2, packetId })))
  for (const packetId of ids) expect((await publisher.expect('pubrec')).packetId).toBe(packetId)
  publisher.send(...ids.map(pubrelPacket))
  for (const packetId of ids) expect((await publisher.expect('pubcomp')).packetId).toBe(packetId)
})
