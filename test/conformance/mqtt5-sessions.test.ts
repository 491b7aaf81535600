// MQTT 5 chapters 3.1, 3.2 and 4: what docs/mqtt-conformance.md names and no test of a flow shows.
import { afterAll, beforeAll, expect, it } from 'vitest'
import { encodeAck } from '../../broker/mqtt/codec/ack.ts'
import { packetType } from '../../broker/mqtt/codec/packet-type.ts'
import { startTestBroker, type TestBroker } from '../helpers/broker.ts'
import { type ConnectFields, connectPacket, pingPacket, publishPacket, subscribePacket } from '../helpers/mqtt-bytes.ts'
import { loginRaw, RawMqtt } from '../helpers/mqtt-raw.ts'

let broker: TestBroker
let me: Readonly<{ username: string; password: string }>
let topics = 0
beforeAll(async () => {
  broker = await startTestBroker()
  const { name, password } = await broker.account()
  me = { username: name, password }
})
afterAll(() => broker.stop())

const login = (fields: ConnectFields = {}) => loginRaw(broker.mqttPort, { ...me, ...fields })
const newTopic = () => `sessions/${++topics}`
const kept = { sessionExpiryInterval: 60 }

it('CONNACK comes first and once, then the answers to what stood behind CONNECT [MQTT-3.2.0-1], [MQTT-3.2.0-2]', async () => {
  const client = new RawMqtt(broker.mqttPort)
  const topic = newTopic()
  client.send(connectPacket(me), subscribePacket(5, 1, [{ filter: topic }]), pingPacket)
  expect(await client.expect('connack')).toMatchObject({ reason: 0 })
  await client.expect('suback')
  await client.expect('pingresp')
  await client.ping()
})

it('nothing that stands behind a refused CONNECT is done [MQTT-3.1.4-6]', async () => {
  const [topic, listener] = [newTopic(), await login()]
  await listener.subscribe([topic])
  const refused = new RawMqtt(broker.mqttPort)
  refused.send(connectPacket({ ...me, password: 'wrong' }), publishPacket(5, { topic, qos: 1 }))
  expect((await refused.expect('connack')).reason).toBe(0x86)
  expect(await refused.ended()).toBeNull()
  await listener.ping()
})

it.each(['7', '0123456789abcdefghijABC'])(
  'client id %s is taken, and names its session [MQTT-3.1.3-5], [MQTT-3.1.3-2]',
  async (clientId) => {
    const first = await login({ clientId, properties: kept })
    await first.leave()
    const second = new RawMqtt(broker.mqttPort)
    expect((await second.connect({ ...me, clientId, clean: false })).sessionPresent).toBe(true)
  },
)

it('a Will is sent once, and not kept unless it says RETAIN [MQTT-3.1.2-10], [MQTT-3.1.2-14]', async () => {
  const [topic, listener] = [newTopic(), await login()]
  await listener.subscribe([topic])
  const fields = { clientId: 'mortal', properties: kept }
  await (await login({ ...fields, will: { topic, payload: 'gone' } })).break()
  expect(await listener.expect('publish')).toMatchObject({ payload: 'gone', retain: false })
  await (await login({ ...fields, clean: false })).break()
  const late = await login()
  await late.subscribe([topic])
  await late.ping()
  await listener.ping()
})

it('with a send quota of zero all else is read and answered [MQTT-3.3.4-10], [MQTT-4.9.0-2], [MQTT-4.9.0-3]', async () => {
  const [topic, client, sender] = [newTopic(), await login({ properties: { receiveMaximum: 1 } }), await login()]
  await client.subscribe([topic])
  for (const payload of ['1', '2']) await sender.publish({ topic, payload, qos: 1 })
  const first = await client.expect('publish')
  await client.ping()
  expect(await client.subscribe([newTopic()])).toEqual([1])
  expect((await client.publish({ topic: newTopic(), qos: 1 }))?.kind).toBe('puback')
  await sender.publish({ topic, payload: 'free of it', qos: 0 })
  expect(await client.expect('publish')).toMatchObject({ payload: 'free of it', qos: 0 })
  client.ack(first)
  expect(await client.expect('publish')).toMatchObject({ payload: '2' })
})

it('a PUBACK of 0x80 and above is an answer: the message does not come again [MQTT-4.4.0-2]', async () => {
  const [topic, fields] = [newTopic(), { clientId: 'refuser', properties: kept }]
  const client = await login(fields)
  await client.subscribe([topic])
  await (await login()).publish({ topic, qos: 1 })
  const { packetId } = await client.expect('publish')
  client.send(encodeAck(5, packetType.PUBACK, packetId, 0x80))
  await client.ping()
  await client.break()
  await (await login({ ...fields, clean: false })).ping()
})

it('behind its PUBACK a packet id is a new message, whatever DUP says [MQTT-4.3.2-5]', async () => {
  const [topic, listener, sender] = [newTopic(), await login(), await login()]
  await listener.subscribe([{ filter: topic, qos: 0 }])
  for (const dup of [false, true]) await sender.publish({ topic, payload: `${dup}`, qos: 1, packetId: 9, dup })
  expect((await listener.publishes(2)).map(({ payload }) => payload)).toEqual(['false', 'true'])
})

it('a QoS 2 message that has expired is still answered to the end [MQTT-4.3.3-13]', async () => {
  const sender = await login()
  const fields = { topic: newTopic(), qos: 2, packetId: 5, properties: { messageExpiryInterval: 0 } } as const
  expect(await sender.publish(fields)).toMatchObject({ kind: 'pubrec', packetId: 5, reason: 0 })
})

it('a first delivery has DUP 0 at QoS 0, 1 and 2 [MQTT-4.3.1-1], [MQTT-4.3.2-2], [MQTT-4.3.3-2]', async () => {
  const [topic, listener, sender] = [newTopic(), await login(), await login()]
  await listener.subscribe([{ filter: topic, qos: 2 }])
  for (const qos of [0, 1, 2] as const) {
    await sender.publish({ topic, qos })
    const found = await listener.expect('publish')
    expect(found).toMatchObject({ qos, dup: false })
    expect(found.packetId > 0).toBe(qos > 0)
  }
})
