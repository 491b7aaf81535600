// MQTT 5: Reason Strings, and what the server grants of keep alive and session expiry.
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Properties } from '../../broker/mqtt/codec/properties.ts'
import { startTestBroker, type TestBroker } from '../helpers/broker.ts'
import { eventually } from '../helpers/eventually.ts'
import {
  byePacket,
  type ConnectFields,
  connectPacket,
  disconnectPacket,
  publishPacket,
  subscribePacket,
} from '../helpers/mqtt-bytes.ts'
import { loginRaw, RawMqtt } from '../helpers/mqtt-raw.ts'

let broker: TestBroker
let account: Readonly<{ name: string; password: string }>
beforeAll(async () => {
  broker = await startTestBroker({
    env: { CLEARBOX_LIMIT_KEEP_ALIVE_SECONDS: '2', CLEARBOX_LIMIT_SESSION_EXPIRY_SECONDS: '2' },
  })
  account = await broker.account()
})
afterAll(() => broker.stop())

const credentials = () => ({ username: account.name, password: account.password })
const login = (properties: Properties = {}) => loginRaw(broker.mqttPort, { ...credentials(), properties })
const connect = (fields: ConnectFields) => new RawMqtt(broker.mqttPort).connect(fields)
const mayNot = 'This account may not do that.'
const noReceiver = 'This receiver does not take messages from this account.'
/** Too little for any sentence. */
const small = { maximumPacketSize: 20 }
const quiet = { requestProblemInformation: 0 }

/** The properties of the answer to one publish, which is refused. */
async function refusal(properties: Properties, topic: string, qos: 1 | 2): Promise<Properties> {
  const client = await login(properties)
  client.send(publishPacket(5, { topic, payload: 'x', qos, packetId: 7 }))
  const answer = await client.expect(qos === 1 ? 'puback' : 'pubrec')
  expect(answer).toMatchObject({ packetId: 7, reason: 0x87 })
  return answer.properties
}

describe.each([1, 2] as const)('the answer to a publish of QoS %i', (qos) => {
  it('says why a publish is refused', async () => {
    expect(await refusal({}, 'u/closed', qos)).toEqual({ reasonString: mayNot })
  })

  it('says nothing with Request Problem Information 0 [MQTT-3.1.2-29]', async () => {
    expect(await refusal(quiet, 'u/closed', qos)).toEqual({})
  })

  it('leaves a reason out that would make it too large for the client [MQTT-3.4.2-2], [MQTT-3.5.2-2]', async () => {
    const exact = 2 + 2 + 1 + 1 + 3 + mayNot.length
    expect(await refusal({ maximumPacketSize: exact }, 'u/closed', qos)).toEqual({ reasonString: mayNot })
    expect(await refusal({ maximumPacketSize: exact - 1 }, 'u/closed', qos)).toEqual({})
  })

  it('does not tell that there is no such receiver', async () => {
    expect(await refusal({}, 'u/nobody-of-this-name/in', qos)).toEqual({ reasonString: noReceiver })
  })

  it('has the id of a chat message only where it fits and is wanted [MQTT-3.4.2-3], [MQTT-3.5.2-3]', async () => {
    const told = async (properties: Properties) => {
      const client = await login(properties)
      return (await client.publish({ topic: `u/${account.name}/in`, payload: 'x', qos }))?.properties
    }
    expect((await told({}))?.userProperties).toEqual([['cb-id', expect.stringMatching(/^[\da-f-]{36}$/)]])
    expect(await told(small)).toEqual({})
    expect(await told(quiet)).toEqual({})
  })
})

describe('SUBACK', () => {
  const suback = async (properties: Properties, filters: readonly string[]) => {
    const client = await login(properties)
    const asked = filters.map((filter) => ({ filter }))
    client.send(subscribePacket(5, 3, asked))
    return client.expect('suback')
  }
  const filters = ['a/b', 'u/other/msg', 'a/#/b', 'u/closed'] as const

  it('says why filters are refused, each reason once', async () => {
    const { reasons, properties } = await suback({}, filters)
    expect(reasons).toEqual([1, 0x87, 0x8f, 0x87])
    expect(properties).toEqual({
      reasonString: 'This client may not do that. The topic filter is not spelled as it must be, or is too long.',
    })
    expect((await suback({}, ['a/b'])).properties).toEqual({})
  })

  it('leaves the reason out where it is too large or unwanted [MQTT-3.9.2-1], [MQTT-3.1.2-29]', async () => {
    for (const said of [small, quiet]) {
      const { reasons, properties } = await suback(said, filters)
      expect(reasons).toEqual([1, 0x87, 0x8f, 0x87])
      expect(properties).toEqual({})
    }
  })
})

describe('CONNACK', () => {
  it('says the same of a wrong password and of an account that does not exist', async () => {
    const reasonString = 'The user name or the password is wrong.'
    for (const username of [account.name, 'nobody-of-this-name'])
      expect(await connect({ username, password: 'wrong' })).toMatchObject({
        reason: 0x86,
        properties: { reasonString },
      })
  })

  it('says what is wrong with a CONNECT', async () => {
    const refused = await connect({ properties: { receiveMaximum: 0 } })
    expect(refused).toMatchObject({ reason: 0x82, properties: { reasonString: 'receiveMaximum must not be 0' } })
  })

  it('leaves a reason out that would make it too large for the client [MQTT-3.2.2-19]', async () => {
    const refused = await connect({ username: account.name, password: 'wrong', properties: small })
    expect(refused).toMatchObject({ reason: 0x86, properties: {} })
  })

  it('has no properties in MQTT 3.1.1', async () => {
    const client = new RawMqtt(broker.mqttPort, 4)
    expect(await client.connect({ username: account.name, password: 'wrong' })).toMatchObject({ properties: {} })
    await client.expect('closed')
  })
})

describe('DISCONNECT', () => {
  const breakRules = async (properties: Properties) => {
    const client = await login(properties)
    client.send(connectPacket({ level: 5 }))
    return client.expect('disconnect')
  }
  const reasonString = 'A packet of type 1 is not allowed here'

  it('says what the client did, also with Request Problem Information 0', async () => {
    for (const said of [{}, quiet])
      expect(await breakRules(said)).toEqual({ kind: 'disconnect', reason: 0x82, properties: { reasonString } })
  })

  it('leaves a reason out that would make it too large for the client [MQTT-3.14.2-3]', async () => {
    expect(await breakRules(small)).toEqual({ kind: 'disconnect', reason: 0x82, properties: {} })
  })

  it('says that another connection has taken over', async () => {
    const fields = { ...credentials(), clientId: 'taken-over' }
    const first = await loginRaw(broker.mqttPort, fields)
    await loginRaw(broker.mqttPort, fields)
    expect(await first.expect('disconnect')).toMatchObject({
      reason: 0x8e,
      properties: { reasonString: 'Another connection has taken over this session.' },
    })
  })
})

describe('a server with a longest keep alive and session expiry', () => {
  it.each([
    [0, 2],
    [3, 2],
    [2, undefined],
    [1, undefined],
  ])('tells MQTT 5 the keep alive where it is not that asked for, %i [MQTT-3.2.2-21]', async (keepAlive, told) => {
    const { reason, properties } = await connect({ ...credentials(), keepAlive })
    expect(reason).toBe(0)
    expect(properties.serverKeepAlive).toBe(told)
  })

  it.each([
    [undefined, undefined],
    [2, undefined],
    [3, 2],
    [0xffff_ffff, 2],
  ])('tells MQTT 5 the expiry where it is not that asked for, %s (§3.2.2.3.2)', async (asked, told) => {
    const properties = asked === undefined ? {} : { sessionExpiryInterval: asked }
    const answer = await connect({ ...credentials(), properties })
    expect(answer.reason).toBe(0)
    expect(answer.properties.sessionExpiryInterval).toBe(told)
  })

  it.concurrent('closes at one and a half times of it [MQTT-3.1.2-21], and keeps 3.1.1 clients to their own', async () => {
    const old = await loginRaw(broker.mqttPort, { ...credentials(), level: 4, keepAlive: 60 })
    const client = await loginRaw(broker.mqttPort, { ...credentials(), keepAlive: 60 })
    const reasonString = 'Nothing came for one and a half times the keep alive.'
    expect(await client.expect('disconnect')).toMatchObject({ reason: 0x8d, properties: { reasonString } })
    await old.ping()
    await old.leave()
  })

  it.concurrent.each([
    ['of MQTT 5', 5, byePacket],
    ['raised by DISCONNECT', 5, disconnectPacket(0, { sessionExpiryInterval: 1000 })],
    ['of 3.1.1', 4, byePacket],
  ] as const)('ends sessions %s by then', async (name, level, bye) => {
    const clientId = `expires ${name}`
    const properties = { sessionExpiryInterval: 1000 }
    const who = { ...credentials(), clientId, clean: false, properties, level }
    const kept = async () => (await broker.store.sessions.all()).some((session) => session.clientId === clientId)
    await (await loginRaw(broker.mqttPort, who)).leave(bye)
    expect(await kept()).toBe(true)
    await eventually(async () => !(await kept()))
    const again = new RawMqtt(broker.mqttPort, level)
    expect(await again.connect(who)).toMatchObject({ reason: 0, sessionPresent: false })
  })
})
