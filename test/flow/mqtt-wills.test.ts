// MQTT 5 §3.1.2.5, §3.14; 3.1.1 §3.1.2.5: Wills, on plain topics and on doors.
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { makeVerifiers } from '../../broker/auth/scram.ts'
import { startTestBroker, type TestBroker } from '../helpers/broker.ts'
import { disconnectPacket, type WillFields } from '../helpers/mqtt-bytes.ts'
import { loginRaw, RawMqtt } from '../helpers/mqtt-raw.ts'

type Account = Readonly<{ name: string; password: string }>

let broker: TestBroker
let account: Account
let names = 0
beforeAll(async () => {
  broker = await startTestBroker()
  account = await broker.account()
})
afterAll(() => broker.stop())

const newName = () => `w${++names}`
const as = ({ name, password }: Account) => ({ username: name, password })

async function watch(filter: string, who = account): Promise<RawMqtt> {
  const watcher = await loginRaw(broker.mqttPort, as(who))
  watcher.autoAck = true
  expect(await watcher.subscribe([filter])).toEqual([1])
  return watcher
}

describe.each([4, 5] as const)('a Will at level %i', (level) => {
  const mortal = (will: WillFields, more = {}) => loginRaw(broker.mqttPort, { level, will, ...as(account), ...more })

  it('is sent when the connection breaks [MQTT-3.1.2-8]', async () => {
    const topic = newName()
    const watcher = await watch(topic)
    const client = await mortal({ topic, payload: 'gone', qos: 1 })
    await client.break()
    expect(await watcher.expect('publish')).toMatchObject({ topic, payload: 'gone', qos: 1, retain: false })
  })

  it('is sent when the keep alive has passed, at a malformed packet and at a takeover [MQTT-3.1.2-8]', async () => {
    const topic = newName()
    const watcher = await watch(topic)
    const silent = await mortal({ topic, payload: 'silent' }, { keepAlive: 1 })
    expect(await watcher.expect('publish')).toMatchObject({ payload: 'silent' })
    await silent.ended()
    const bad = await mortal({ topic, payload: 'malformed' })
    bad.send(Buffer.from([0, 0]))
    expect(await watcher.expect('publish')).toMatchObject({ payload: 'malformed' })
    await mortal({ topic, payload: 'taken over' }, { clientId: topic })
    await mortal({ topic, payload: 'second' }, { clientId: topic })
    expect(await watcher.expect('publish')).toMatchObject({ payload: 'taken over' })
  })

  it('is not sent after DISCONNECT [MQTT-3.14.4-3]', async () => {
    const topic = newName()
    const watcher = await watch(topic)
    const client = await mortal({ topic, payload: 'gone' })
    await client.leave()
    await watcher.ping()
  })

  it('may be retained [MQTT-3.1.2-17]', async () => {
    const topic = newName()
    const watcher = await watch(topic)
    await (await mortal({ topic, payload: 'last words', qos: 1, retain: true })).break()
    await watcher.expect('publish')
    expect(await (await watch(topic)).expect('publish')).toMatchObject({ payload: 'last words', retain: true })
  })

  it.each([
    ['a stream', 'u/somebody/msg', 0x87],
    ['a topic of the broker', '$SYS/x', 0x87],
    ['a misspelt door', 'u/Somebody/in', 0x90],
  ])('is refused with CONNECT on %s (DESIGN §2)', async (_name, topic, reason) => {
    const client = new RawMqtt(broker.mqttPort, level)
    const connack = await client.connect({ will: { topic, payload: 'x' }, ...as(account) })
    expect(connack.reason).toBe(level === 5 ? reason : 5)
    expect(await client.ended()).toBeNull()
  })

  it('goes out with QoS 2 when it was given so [MQTT-3.1.2-11]', async () => {
    const watcher = await loginRaw(broker.mqttPort, { level, ...as(account) })
    const topic = `will/two/${level}`
    expect(await watcher.subscribe([{ filter: topic, qos: 2 }])).toEqual([2])
    const client = await mortal({ topic, payload: 'gone', qos: 2 })
    await client.break()
    expect(await watcher.expect('publish')).toMatchObject({ payload: 'gone', qos: 2, dup: false })
  })

  it('on a door is a chat message from the account (DESIGN §2)', async () => {
    const receiver = await broker.account()
    const watcher = await watch(`u/${receiver.name}/text`, receiver)
    const client = await mortal({ topic: `u/${receiver.name}/in`, payload: 'I am gone', qos: 1 })
    await client.break()
    expect((await watcher.expect('publish')).payload).toBe(`${account.name}: I am gone`)
  })

  it('on a door with a payload that the door does not take is refused with CONNECT', async () => {
    const client = new RawMqtt(broker.mqttPort, level)
    const will = { topic: `u/${account.name}/in`, payload: 'a\0b' }
    expect((await client.connect({ will, ...as(account) })).reason).toBe(level === 5 ? 0x99 : 5)
  })
})

it('is sent after DISCONNECT with reason 0x04 (§3.14.2.1)', async () => {
  const topic = newName()
  const watcher = await watch(topic)
  const client = await loginRaw(broker.mqttPort, { will: { topic, payload: 'wanted' }, ...as(account) })
  await client.leave(disconnectPacket(0x04))
  expect(await watcher.expect('publish')).toMatchObject({ payload: 'wanted' })
})

it('carries its properties, its delay left out [MQTT-3.1.3-9]', async () => {
  const topic = newName()
  const watcher = await watch(topic)
  const properties = {
    payloadFormatIndicator: 1,
    contentType: 'text/plain',
    responseTopic: 'r',
    correlationData: Buffer.from('c'),
    userProperties: [['k', 'v'] as [string, string]],
  }
  const client = await loginRaw(broker.mqttPort, { will: { topic, payload: 'x', properties }, ...as(account) })
  await client.break()
  expect((await watcher.expect('publish')).properties).toEqual(properties)
})

it('of an account whose password changes is sent when its connection is ended', async () => {
  const [topic, other] = [newName(), await broker.account()]
  const watcher = await watch(topic)
  const client = await loginRaw(broker.mqttPort, { will: { topic, payload: 'ended' }, ...as(other) })
  await broker.store.accounts.setVerifiers(other.name, await makeVerifiers('new password'))
  expect(await client.ended()).toBe(0x98)
  expect(await watcher.expect('publish')).toMatchObject({ payload: 'ended' })
})
