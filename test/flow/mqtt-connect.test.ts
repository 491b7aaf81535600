// MQTT 5 §3.1, §3.2, §4.13; 3.1.1 §3.1, §3.2: who is let in, and what the client is told.
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { makeVerifiers } from '../../broker/auth/scram.ts'
import { defaultLimits } from '../../broker/limits.ts'
import { Writer } from '../../broker/mqtt/codec/writer.ts'
import { startTestBroker, type TestBroker } from '../helpers/broker.ts'
import { byePacket, connectPacket, disconnectPacket, pingPacket, publishPacket } from '../helpers/mqtt-bytes.ts'
import { loginRaw, RawMqtt } from '../helpers/mqtt-raw.ts'

type Account = Readonly<{ name: string; password: string }>

let broker: TestBroker
beforeAll(async () => {
  broker = await startTestBroker({ limits: { ...defaultLimits, loginMs: 2000 } })
})
afterAll(() => broker.stop())

const as = ({ name, password }: Account) => ({ username: name, password })
const levels = [4, 5] as const

describe.each(levels)('MQTT at level %i', (level) => {
  it('refuses a wrong password, and closes [MQTT-3.2.2-7]', async () => {
    const { name } = await broker.account()
    const client = new RawMqtt(broker.mqttPort, level)
    expect((await client.connect({ username: name, password: 'wrong' })).reason).toBe(level === 4 ? 4 : 0x86)
    expect(await client.ended()).toBeNull()
  })

  it('refuses an unknown account as it refuses a wrong password', async () => {
    const client = new RawMqtt(broker.mqttPort, level)
    expect((await client.connect({ username: 'nobody-here', password: 'x' })).reason).toBe(level === 4 ? 4 : 0x86)
  })

  it('refuses who has no user name while anonymous clients are off', async () => {
    const client = new RawMqtt(broker.mqttPort, level)
    expect((await client.connect({})).reason).toBe(level === 4 ? 5 : 0x87)
    expect(await client.ended()).toBeNull()
  })

  it('closes at a second CONNECT [MQTT-3.1.0-2]', async () => {
    const account = await broker.account()
    const client = await loginRaw(broker.mqttPort, { level, ...as(account) })
    client.send(connectPacket({ level, ...as(account) }))
    expect(await client.ended()).toBe(level === 4 ? null : 0x82)
  })

  it('handles what was sent behind CONNECT without waiting for CONNACK (§3.1.4)', async () => {
    const account = await broker.account()
    const client = new RawMqtt(broker.mqttPort, level)
    client.send(connectPacket({ level, ...as(account) }), pingPacket, pingPacket)
    expect((await client.expect('connack')).reason).toBe(0)
    await client.expect('pingresp')
    await client.expect('pingresp')
  })

  it('gives an empty client id a session of its own [MQTT-3.1.3-6]', async () => {
    const account = await broker.account()
    const [one, two] = [new RawMqtt(broker.mqttPort, level), new RawMqtt(broker.mqttPort, level)]
    const [first, second] = [await one.connect(as(account)), await two.connect(as(account))]
    expect([first.reason, second.reason]).toEqual([0, 0])
    if (level === 5) {
      expect(first.properties.assignedClientIdentifier).toBeTruthy()
      expect(first.properties.assignedClientIdentifier).not.toBe(second.properties.assignedClientIdentifier)
    }
    await one.ping()
  })

  it('closes a connection whose first packet is not CONNECT [MQTT-3.1.0-1]', async () => {
    const client = new RawMqtt(broker.mqttPort, level)
    client.send(publishPacket(level, { topic: 'a' }))
    expect(await client.ended()).toBeNull()
  })

  it('sends nothing but closes when no CONNECT comes in time (§3.1)', async () => {
    const client = new RawMqtt(broker.mqttPort, level)
    expect(await client.ended()).toBeNull()
  })

  it('takes a session over for its own account: the older connection ends [MQTT-3.1.4-3]', async () => {
    const account = await broker.account()
    const older = await loginRaw(broker.mqttPort, { level, clientId: 'one', ...as(account) })
    const newer = await loginRaw(broker.mqttPort, { level, clientId: 'one', ...as(account) })
    expect(await older.ended()).toBe(level === 4 ? null : 0x8e)
    await newer.ping()
  })

  it('never lets an account take over the session of another one (DESIGN §3)', async () => {
    const [alice, bob] = [await broker.account(), await broker.account()]
    const hers = await loginRaw(broker.mqttPort, { level, clientId: 'same', ...as(alice) })
    const his = await loginRaw(broker.mqttPort, { level, clientId: 'same', ...as(bob) })
    await hers.ping()
    await his.ping()
  })

  it('closes a silent client after one and a half times its keep alive [MQTT-3.1.2-22]', async () => {
    const account = await broker.account()
    const client = await loginRaw(broker.mqttPort, { level, keepAlive: 1, ...as(account) })
    const began = Date.now()
    expect(await client.ended()).toBe(level === 4 ? null : 0x8d)
    expect(Date.now() - began).toBeGreaterThan(1400)
  })

  it('ends the connections of an account whose password changes, within two seconds (DESIGN §3)', async () => {
    const account = await broker.account()
    const client = await loginRaw(broker.mqttPort, { level, ...as(account) })
    await broker.store.accounts.setVerifiers(account.name, await makeVerifiers('another one'))
    const began = Date.now()
    expect(await client.ended()).toBe(level === 4 ? null : 0x98)
    expect(Date.now() - began).toBeLessThan(2500)
    const again = new RawMqtt(broker.mqttPort, level)
    expect((await again.connect(as(account))).reason).toBe(level === 4 ? 4 : 0x86)
    await loginRaw(broker.mqttPort, { level, username: account.name, password: 'another one' })
  })
})

it.each([
  [3, 1],
  [6, 0x84],
  [0, 1],
])('answers protocol level %i with return code %i and closes [MQTT-3.1.2-2]', async (asked, code) => {
  const client = new RawMqtt(broker.mqttPort, code === 1 ? 4 : 5)
  const packet = connectPacket({ level: 4, clientId: 'x' })
  packet[8] = asked
  client.send(packet)
  expect((await client.expect('connack')).reason).toBe(code)
  expect(await client.ended()).toBeNull()
})

/** 3.1 §3.1: `flags` say what follows the client id. */
function connect31(flags: number, clientId: string, ...login: readonly string[]): Buffer {
  const writer = new Writer().string('MQIsdp').u8(3).u8(flags).u16(0).string(clientId)
  for (const part of login) writer.string(part)
  return writer.toPacket(0x10)
}

it('speaks 3.1 like 3.1.1: a session, QoS 2, and 0x80 for a filter that is refused', async () => {
  const { name, password } = await broker.account()
  const client = new RawMqtt(broker.mqttPort, 4)
  client.send(connect31(0xc2, 'old', name, password))
  expect(await client.expect('connack')).toMatchObject({ reason: 0, sessionPresent: false })
  expect(
    await client.subscribe([
      { filter: 'old/t', qos: 2 },
      { filter: 'u/nobody/msg', qos: 1 },
    ]),
  ).toEqual([2, 0x80])
  client.autoAck = true
  await (await loginRaw(broker.mqttPort, as(await broker.account()))).publish({ topic: 'old/t', payload: 'x', qos: 2 })
  expect(await client.expect('publish')).toMatchObject({ payload: 'x', qos: 2 })
})

it('refuses an empty client id in 3.1, and a login that is announced and missing (3.1 §3.1)', async () => {
  const { name, password } = await broker.account()
  for (const [packet, code] of [
    [connect31(0xc2, '', name, password), 2],
    [connect31(0xc2, 'old'), 5],
  ] as const) {
    const client = new RawMqtt(broker.mqttPort, 4)
    client.send(packet)
    expect((await client.expect('connack')).reason).toBe(code)
    expect(await client.ended()).toBeNull()
  }
})

it('refuses an empty client id without clean session in 3.1.1 [MQTT-3.1.3-8]', async () => {
  const client = new RawMqtt(broker.mqttPort, 4)
  expect((await client.connect({ clean: false, ...as(await broker.account()) })).reason).toBe(2)
  expect(await client.ended()).toBeNull()
})

it('tells MQTT 5 what it can (§3.2.2.3)', async () => {
  const client = new RawMqtt(broker.mqttPort)
  const { properties } = await client.connect({ clientId: 'mine', ...as(await broker.account()) })
  expect(properties).toMatchObject({ receiveMaximum: 64, topicAliasMaximum: 32, sharedSubscriptionAvailable: 1 })
  // None: 2 [MQTT-3.2.2-9]
  expect(properties).not.toHaveProperty('maximumQoS')
  expect(properties.maximumPacketSize).toBe(defaultLimits.maxPacketBytes)
  expect(properties).not.toHaveProperty('assignedClientIdentifier')
})

it('says nothing of authentication methods and responses to who asks for none [MQTT-4.12.0-6], [MQTT-3.1.2-28]', async () => {
  const client = new RawMqtt(broker.mqttPort)
  const asked = { requestResponseInformation: 0 }
  const { properties } = await client.connect({ ...as(await broker.account()), properties: asked })
  for (const name of ['authenticationMethod', 'authenticationData', 'responseInformation'])
    expect(properties).not.toHaveProperty(name)
})

it('refuses an authentication method that it does not know [MQTT-4.12.0-1]', async () => {
  const client = new RawMqtt(broker.mqttPort)
  const fields = { ...as(await broker.account()), properties: { authenticationMethod: 'X' } }
  expect((await client.connect(fields)).reason).toBe(0x8c)
})

it('refuses a malformed CONNECT of MQTT 5 with its reason, and closes on 3.1.1 without a word (§4.13)', async () => {
  for (const level of levels) {
    const client = new RawMqtt(broker.mqttPort, level)
    const packet = connectPacket({ level, clientId: 'x' })
    packet[9] = (packet[9] ?? 0) | 1
    client.send(packet)
    if (level === 5) expect((await client.expect('connack')).reason).toBe(0x81)
    expect(await client.ended()).toBeNull()
  }
})

it('a client that is gone before its login is decided leaves nothing behind', async () => {
  const account = await broker.account()
  const hasty = new RawMqtt(broker.mqttPort)
  hasty.send(connectPacket({ clientId: 'hasty', ...as(account) }), byePacket)
  hasty.socket.destroy()
  await hasty.expect('closed')
  const client = new RawMqtt(broker.mqttPort)
  const fields = { clientId: 'hasty', clean: false, ...as(account) }
  expect((await client.connect(fields)).sessionPresent).toBe(false)
  await client.ping()
})

describe('Session Present', () => {
  const connect = async (account: Account, level: 4 | 5, clean: boolean, expiry?: number) => {
    const client = new RawMqtt(broker.mqttPort, level)
    const properties = expiry === undefined ? {} : { sessionExpiryInterval: expiry }
    const connack = await client.connect({ clientId: 'c', clean, properties, ...as(account) })
    expect(connack.reason).toBe(0)
    return { client, present: connack.sessionPresent }
  }

  it.each([
    ['3.1.1 keeps what was not clean [MQTT-3.2.2-2]', 4, { clean: false }, { clean: false }, true],
    ['3.1.1 clean forgets [MQTT-3.1.2-6]', 4, { clean: false }, { clean: true }, false],
    ['3.1.1 after a clean one has nothing', 4, { clean: true }, { clean: false }, false],
    ['5 with expiry keeps [MQTT-3.2.2-3]', 5, { clean: true, expiry: 60 }, { clean: false, expiry: 60 }, true],
    ['5 without expiry ends with its connection', 5, { clean: true }, { clean: false }, false],
    ['5 with Clean Start discards [MQTT-3.1.2-4]', 5, { clean: false, expiry: 60 }, { clean: true, expiry: 60 }, false],
  ] as const)('%s', async (_name, level, before, after, present) => {
    const account = await broker.account()
    const first = await connect(account, level, before.clean, 'expiry' in before ? before.expiry : undefined)
    expect(first.present).toBe(false)
    await first.client.leave()
    const second = await connect(account, level, after.clean, 'expiry' in after ? after.expiry : undefined)
    expect(second.present).toBe(present)
  })

  it('is true at a takeover of a session that lives on, false at one that does not', async () => {
    const account = await broker.account()
    await connect(account, 5, true, 60)
    expect((await connect(account, 5, false, 0)).present).toBe(true)
    expect((await connect(account, 5, false, 0)).present).toBe(false)
  })

  it('outlives a restart of the broker, where the session was not clean', async () => {
    let other = await startTestBroker()
    const account = await other.account()
    const fields = { level: 4, clientId: 'kept', clean: false, ...as(account) } as const
    await (await loginRaw(other.mqttPort, fields)).leave()
    other = await other.restart()
    const client = new RawMqtt(other.mqttPort, 4)
    expect((await client.connect(fields)).sessionPresent).toBe(true)
    await other.stop()
  })

  it('a session ends when its expiry interval has passed (§3.1.2.11.2)', async () => {
    const account = await broker.account()
    await (await connect(account, 5, true, 1)).client.leave()
    await new Promise((resolve) => setTimeout(resolve, 1100))
    expect((await connect(account, 5, false, 1)).present).toBe(false)
  })

  it('DISCONNECT may change the expiry interval (§3.14.2.2.2)', async () => {
    const account = await broker.account()
    const { client } = await connect(account, 5, true, 1000)
    await client.leave(disconnectPacket(0, { sessionExpiryInterval: 0 }))
    const second = await connect(account, 5, false, 1)
    expect(second.present).toBe(false)
    await second.client.leave(disconnectPacket(0, { sessionExpiryInterval: 1000 }))
    await new Promise((resolve) => setTimeout(resolve, 1100))
    expect((await connect(account, 5, false, 60)).present).toBe(true)
  })

  it('DISCONNECT must not give a session with expiry 0 a longer life [MQTT-3.14.2-2]', async () => {
    const { client } = await connect(await broker.account(), 5, true)
    client.send(disconnectPacket(0, { sessionExpiryInterval: 10 }))
    expect(await client.ended()).toBe(0x82)
  })
})

describe('where anonymous clients are on', () => {
  let open: TestBroker
  beforeAll(async () => {
    open = await startTestBroker({ env: { CLEARBOX_MQTT_ANONYMOUS: 'on' } })
  })
  afterAll(() => open.stop())

  it('they use plain topics, and neither doors nor streams (DESIGN §3)', async () => {
    const { name } = await open.account()
    const client = await loginRaw(open.mqttPort, { clientId: 'guest' })
    expect(await client.subscribe(['plain/#', `u/${name}/msg`, 'u/guest/msg'])).toEqual([1, 0x87, 0x87])
    expect(await client.publish({ topic: `u/${name}/in`, payload: 'hi', qos: 1 })).toMatchObject({ reason: 0x87 })
    await client.publish({ topic: 'plain/x', payload: 'hi' })
    expect(await client.expect('publish')).toMatchObject({ topic: 'plain/x', payload: 'hi' })
  })

  it('an account with the same client id is somebody else', async () => {
    const account = await open.account()
    const guest = await loginRaw(open.mqttPort, { clientId: 'same' })
    await loginRaw(open.mqttPort, { clientId: 'same', ...as(account) })
    await guest.ping()
  })

  it('a wrong password is still refused', async () => {
    const client = new RawMqtt(open.mqttPort)
    expect((await client.connect({ username: 'nobody', password: 'x' })).reason).toBe(0x86)
  })
})
