// MQTT 5 §3.1.3.2.2: the Will Delay Interval. §3.1.4: what a takeover does to a Will.
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { startTestBroker, type TestBroker } from '../helpers/broker.ts'
import { befriend } from '../helpers/contacts.ts'
import { disconnectPacket, type WillFields } from '../helpers/mqtt-bytes.ts'
import { loginRaw, type RawMqtt } from '../helpers/mqtt-raw.ts'

type Account = Readonly<{ name: string; password: string }>

let broker: TestBroker
let account: Account
let names = 0
beforeAll(async () => {
  broker = await startTestBroker()
  account = await broker.account()
})
afterAll(() => broker.stop())

const newName = () => `wd${++names}`
const as = ({ name, password }: Account) => ({ username: name, password })
type More = Readonly<{ on?: TestBroker; who?: Account; clientId?: string; clean?: boolean; expiry?: number }>

/** A client of a persistent session with a Will. */
function mortal(
  will: WillFields,
  { on = broker, who = account, clientId = newName(), clean = true, expiry = 600 }: More = {},
) {
  const properties = { sessionExpiryInterval: expiry }
  return loginRaw(on.mqttPort, { ...as(who), clientId, clean, properties, will })
}
const delayed = (topic: string, payload: string, seconds: number): WillFields => ({
  ...{ topic, payload, qos: 1, properties: { willDelayInterval: seconds } },
})

async function watch(filter: string, { on = broker, who = account }: More = {}): Promise<RawMqtt> {
  const watcher = await loginRaw(on.mqttPort, as(who))
  watcher.autoAck = true
  await watcher.subscribe([filter])
  return watcher
}

describe.concurrent('a Will with delay', () => {
  it('is sent when the delay has passed, not before [MQTT-3.1.2-8]', async () => {
    const topic = newName()
    const watcher = await watch(topic)
    const client = await mortal(delayed(topic, 'gone', 1))
    const lostAt = Date.now()
    await client.break()
    await watcher.ping()
    expect(await watcher.expect('publish')).toMatchObject({ topic, payload: 'gone', qos: 1, retain: false })
    expect(Date.now() - lostAt).toBeGreaterThanOrEqual(1000)
  })

  it('is never sent when the client has come back before, with or without a Will [MQTT-3.1.3-9]', async () => {
    const topic = newName()
    const watcher = await watch(topic)
    const clients = [newName(), newName()] as const
    for (const clientId of clients) await (await mortal(delayed(topic, clientId, 1), { clientId })).break()
    await loginRaw(broker.mqttPort, { ...as(account), clientId: clients[0], clean: false })
    await mortal(delayed(topic, 'another', 600), { clientId: clients[1], clean: false })
    await (await mortal(delayed(topic, 'witness', 1))).break()
    expect(await watcher.expect('publish')).toMatchObject({ payload: 'witness' })
    await watcher.ping()
  })

  it('is sent when the session ends, if that is earlier (§3.1.3.2.2)', async () => {
    const topic = newName()
    const watcher = await watch(topic)
    await (await mortal(delayed(topic, 'expired', 600), { expiry: 1 })).break()
    expect(await watcher.expect('publish')).toMatchObject({ payload: 'expired' })
    await (await mortal(delayed(topic, 'at once', 600), { expiry: 0 })).break()
    expect(await watcher.expect('publish')).toMatchObject({ payload: 'at once' })
    const leaving = await mortal(delayed(topic, 'ended by DISCONNECT', 600))
    await leaving.leave(disconnectPacket(0x04, { sessionExpiryInterval: 0 }))
    expect(await watcher.expect('publish')).toMatchObject({ payload: 'ended by DISCONNECT' })
  })

  it('waits after DISCONNECT 0x04, and is forgotten after 0x00 [MQTT-3.14.4-3]', async () => {
    const topic = newName()
    const watcher = await watch(topic)
    await (await mortal(delayed(topic, 'taken back', 1))).leave()
    await (await mortal(delayed(topic, 'wanted', 1))).leave(disconnectPacket(0x04))
    await watcher.ping()
    expect(await watcher.expect('publish')).toMatchObject({ payload: 'wanted' })
    await watcher.ping()
  })

  it('is not sent at a takeover that goes on with the session, and is at one that ends it (§3.1.4)', async () => {
    const topic = newName()
    const watcher = await watch(topic)
    const [clientId, other] = [newName(), newName()]
    await mortal(delayed(topic, 'goes on', 1), { clientId })
    const second = await mortal(delayed(topic, 'ended', 600), { clientId, clean: false })
    await mortal(delayed(topic, 'of the new session', 600), { clientId, clean: true })
    expect(await second.ended()).toBe(0x8e)
    expect(await watcher.expect('publish')).toMatchObject({ payload: 'ended' })
    await mortal({ topic, payload: 'without delay', qos: 1 }, { clientId: other })
    await mortal(delayed(topic, 'x', 600), { clientId: other, clean: false })
    expect(await watcher.expect('publish')).toMatchObject({ payload: 'without delay' })
    await (await mortal(delayed(topic, 'witness', 1))).break()
    expect(await watcher.expect('publish')).toMatchObject({ payload: 'witness' })
  })

  it('keeps its properties, and its expiry counts from when it is sent [MQTT-3.1.3-9]', async () => {
    const topic = newName()
    const watcher = await watch(topic)
    const properties = {
      ...{ payloadFormatIndicator: 1, contentType: 'text/plain', responseTopic: 'r', messageExpiryInterval: 60 },
      ...{ correlationData: Buffer.from('c'), userProperties: [['k', 'v'] as [string, string]] },
    }
    const will = { topic, payload: 'x', qos: 1, retain: true, properties: { ...properties, willDelayInterval: 1 } }
    await (await mortal({ ...will, qos: 1 })).break()
    expect((await watcher.expect('publish')).properties).toEqual(properties)
    expect(await (await watch(topic)).expect('publish')).toMatchObject({ payload: 'x', retain: true })
  })

  it('on a door is a chat message when it is sent; what is refused then is told on err', async () => {
    const [alice, bob, former] = [await broker.account(), await broker.account(), await broker.account()]
    const watcher = await watch(`u/${bob.name}/text`, { who: bob })
    const errors = await watch(`u/${alice.name}/err`, { who: alice })
    await (await mortal(delayed(`u/${former.name}/in`, 'x', 1), { who: alice })).break()
    await broker.store.accounts.remove(former.name)
    expect(JSON.parse((await errors.expect('publish')).payload)).toMatchObject({
      ...{ code: 'refused', topic: `u/${former.name}/in` },
    })
    await (await mortal(delayed(`u/${bob.name}/in`, 'I am gone', 1), { who: alice })).break()
    expect((await watcher.expect('publish')).payload).toBe(`${alice.name}: I am gone`)
  })

  it('of a deleted account is never sent', async () => {
    const [topic, former] = [newName(), await broker.account()]
    const watcher = await watch(topic)
    const client = await mortal(delayed(topic, 'ghost', 600), { who: former })
    await broker.store.accounts.remove(former.name)
    expect(await client.ended()).toBe(0x98)
    await (await mortal(delayed(topic, 'witness', 1))).break()
    expect(await watcher.expect('publish')).toMatchObject({ payload: 'witness' })
  })
})

describe.concurrent('a Will with delay on u/{me}/presence/set', () => {
  const show = async (watcher: RawMqtt): Promise<unknown> => {
    const { show, status } = JSON.parse((await watcher.expect('publish')).payload)
    return [show, status]
  }

  async function friends() {
    const [alice, bob] = [await broker.account(), await broker.account()]
    await befriend(broker, alice, bob)
    const watcher = await loginRaw(broker.mqttPort, as(bob))
    expect(await watcher.subscribe([`u/${alice.name}/presence`])).toEqual([0])
    expect(await show(watcher)).toEqual(['offline', ''])
    const topic = `u/${alice.name}/presence/set`
    const client = (status: string, clean: boolean) =>
      mortal(delayed(topic, JSON.stringify({ show: 'offline', status }), 1), { who: alice, clientId: 'phone', clean })
    return { alice, watcher, topic, client }
  }

  it('holds the end of the device back: it stays as it was until the Will is sent', async () => {
    const { watcher, topic, client } = await friends()
    const first = await client('lost', true)
    await first.publish({ topic, payload: 'away', qos: 1 })
    expect(await show(watcher)).toEqual(['away', ''])
    await first.break()
    await watcher.ping()
    expect(await show(watcher)).toEqual(['offline', 'lost'])
  })

  it('says nothing when the client comes back: the device was here all the time', async () => {
    const { watcher, topic, client } = await friends()
    const first = await client('lost', true)
    await first.publish({ topic, payload: 'away', qos: 1 })
    expect(await show(watcher)).toEqual(['away', ''])
    await first.break()
    const second = await client('lost again', false)
    await second.publish({ topic, payload: 'dnd', qos: 1 })
    expect(await show(watcher)).toEqual(['dnd', ''])
    await second.leave()
    expect(await show(watcher)).toEqual(['offline', ''])
  })

  it('speaks at once when a clean start ends the session', async () => {
    const { watcher, topic, client } = await friends()
    const first = await client('ended', true)
    await first.publish({ topic, payload: 'away', qos: 1 })
    expect(await show(watcher)).toEqual(['away', ''])
    await client('new', true)
    expect(await show(watcher)).toEqual(['offline', 'ended'])
  })
})

it('at a stop of the broker Wills without delay are sent, those with delay come after the next start', async () => {
  let other = await startTestBroker()
  const who = await other.account()
  const topic = newName()
  const fields = { ...as(who), clientId: 'watcher', clean: false, properties: { sessionExpiryInterval: 600 } }
  const watcher = await loginRaw(other.mqttPort, fields)
  await watcher.subscribe(['#'])
  await watcher.leave()
  const clientId = newName()
  await mortal({ topic, payload: 'clean session', qos: 1 }, { on: other, who, expiry: 0 })
  await mortal({ topic, payload: 'no delay', qos: 1 }, { on: other, who })
  await mortal(delayed(topic, 'comes back', 1), { on: other, who, clientId })
  await (await mortal(delayed(topic, 'taken back', 1), { on: other, who })).leave()
  await mortal(delayed(topic, 'stays away', 1), { on: other, who })
  other = await other.restart()
  const again = await loginRaw(other.mqttPort, { ...fields, clientId })
  const second = await loginRaw(other.mqttPort, fields)
  second.autoAck = true
  const words = (await second.publishes(3)).map(({ payload }) => payload)
  expect(words.slice(0, 2).toSorted()).toEqual(['clean session', 'no delay'])
  expect(words[2]).toBe('stays away')
  await again.leave()
  await (await mortal(delayed(topic, 'witness', 1), { on: other, who })).break()
  expect(await second.expect('publish')).toMatchObject({ payload: 'witness' })
  await other.stop()
})
