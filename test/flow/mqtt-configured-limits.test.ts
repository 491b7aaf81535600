// The limits that an operator sets: what a client hears at each of them, and that it is counted.
import mqtt from 'mqtt'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { startTestBroker, type TestBroker } from '../helpers/broker.ts'
import { eventually } from '../helpers/eventually.ts'
import { type ConnectFields, publishPacket } from '../helpers/mqtt-bytes.ts'
import { loginRaw, RawMqtt } from '../helpers/mqtt-raw.ts'
import { logIn } from '../helpers/rest.ts'

let broker: TestBroker
let account: Readonly<{ name: string; password: string }>
let names = 0
const newName = () => `cl${++names}`
const env = {
  CLEARBOX_LIMIT_PACKET_BYTES: '4096',
  CLEARBOX_LIMIT_TOPIC_BYTES: '32',
  CLEARBOX_LIMIT_TOPIC_LEVELS: '4',
  CLEARBOX_LIMIT_SUBSCRIPTIONS_PER_SESSION: '3',
  CLEARBOX_LIMIT_RECEIVE_MAXIMUM: '16',
  CLEARBOX_LIMIT_RETAINED_BYTES: '65536',
  CLEARBOX_LIMIT_CONNECTIONS_PER_ACCOUNT: '3',
  CLEARBOX_LIMIT_CONNECTIONS_PER_ADDRESS: '30',
  CLEARBOX_LIMIT_SESSIONS_PER_ACCOUNT: '2',
  CLEARBOX_FLAPPING_LOSSES: '5',
  CLEARBOX_FLAPPING_BAN_SECONDS: '1',
}
beforeAll(async () => {
  broker = await startTestBroker({ env })
})
afterAll(() => broker.stop())

const credentials = async () => {
  account = await broker.account()
  return { username: account.name, password: account.password }
}
const login = async (fields: ConnectFields = {}) => loginRaw(broker.mqttPort, { ...(await credentials()), ...fields })

async function counter(name: string): Promise<number> {
  const text = await (await fetch(`${broker.http}/metrics`)).text()
  return Number(new RegExp(`^clearbox_limit_${name}_total (\\d+)$`, 'm').exec(text)?.[1])
}

/** What CONNACK says. */
async function knock(fields: ConnectFields): Promise<number> {
  const client = new RawMqtt(broker.mqttPort, fields.level ?? 5)
  const { reason } = await client.connect(fields)
  if (reason === 0) await client.leave()
  else await client.expect('closed')
  return reason
}

it.each([
  [5, 0x97],
  [4, 3],
] as const)(
  'MQTT level %i: an account has so many sessions that outlive their connections, others as many as it likes',
  async (level, refusal) => {
    const who = await credentials()
    const kept = (clientId: string) =>
      knock({
        ...who,
        level,
        clientId,
        ...(level === 5 ? { properties: { sessionExpiryInterval: 60 } } : { clean: false }),
      })
    const before = await counter('sessions')
    expect([await kept('a'), await kept('b'), await kept('c')]).toEqual([0, 0, refusal])
    expect(await counter('sessions')).toBe(before + 1)
    expect(await kept('a')).toBe(0)
    expect(await knock({ ...who, level, clientId: 'c', clean: true })).toBe(0)
    expect(await knock({ ...who, level, clientId: 'a', clean: true })).toBe(0)
    expect(await kept('c')).toBe(0)
  },
)

it('CONNACK tells the packet size and the Receive Maximum; a larger packet ends the connection with 0x95', async () => {
  const client = new RawMqtt(broker.mqttPort)
  expect(await client.connect(await credentials())).toMatchObject({
    properties: { maximumPacketSize: 4096, receiveMaximum: 16 },
  })
  client.send(publishPacket(5, { topic: 't', payload: Buffer.alloc(4096) }))
  expect(await client.ended()).toBe(0x95)
  expect(await counter('packet_bytes')).toBe(1)
})

describe('a topic', () => {
  const long = 'x'.repeat(33)

  it.each([long, 'a/b/c/d/e', '////', '€'.repeat(11)])(
    '%s is too long: 0x90, 0x8F, and 400 over REST',
    async (topic) => {
      const client = await login()
      const before = await counter('topics')
      expect(await client.publish({ topic, qos: 1 })).toMatchObject({ reason: 0x90 })
      expect(await client.subscribe([topic, `${topic}/#`])).toEqual([0x8f, 0x8f])
      expect(await counter('topics')).toBe(before + 3)
      const rest = await logIn(broker.http, account)
      expect((await rest.post('/v1/publish', { topic, payload: 'x' })).status).toBe(400)
      expect(await client.publish({ topic: 'a/b/c/d', qos: 1 })).toMatchObject({ reason: 0 })
    },
  )

  it('is refused to 3.1.1 on err, and as a Will', async () => {
    const client = await login({ level: 4 })
    client.autoAck = true
    await client.subscribe([`u/${account.name}/err`])
    client.send(publishPacket(4, { topic: long, qos: 1, packetId: 9 }))
    const kinds = [await client.next(), await client.next()].map(({ kind }) => kind).sort()
    expect(kinds).toEqual(['puback', 'publish'])
    expect(await knock({ ...(await credentials()), will: { topic: long, payload: '' } })).toBe(0x90)
  })
})

it('one subscription more gets 0x97; replacing one is none more', async () => {
  const client = await login()
  expect(await client.subscribe(['a', 'b', 'c', 'd'])).toEqual([1, 1, 1, 0x97])
  expect(await client.subscribe(['a'])).toEqual([1])
  await client.unsubscribe(['b'])
  expect(await client.subscribe(['d'])).toEqual([1])
  expect(await counter('subscriptions')).toBe(1)
})

it('what cannot be retained is given to nobody, nor to a shared subscription', async () => {
  const [publisher, worker] = [await login(), await login()]
  await worker.subscribe(['$share/g/full/#'])
  const payload = Buffer.alloc(3500)
  const topics = Array.from({ length: 20 }, (_, i) => `full/${i}`)
  for (const topic of topics) await publisher.publish({ topic, payload, qos: 1, retain: true })
  const more = await publisher.publish({ topic: 'full/more', payload, qos: 1, retain: true })
  expect(more).toMatchObject({ reason: 0x97 })
  await publisher.publish({ topic: 'full/end', payload: 'end', qos: 1 })
  const got: string[] = []
  while (got.at(-1) !== 'full/end') {
    const packet = await worker.expect('publish')
    worker.ack(packet)
    got.push(packet.topic)
  }
  expect(got).not.toContain('full/more')
  for (const topic of topics) await publisher.publish({ topic, payload: '', qos: 1, retain: true })
})

it('what cannot be retained gets 0x97; removing makes room', async () => {
  const client = await login()
  const before = await counter('retained')
  const payload = 'x'.repeat(4000)
  const reasons: (number | undefined)[] = []
  for (let i = 0; i < 20; i++) {
    reasons.push((await client.publish({ topic: `r/${i}`, payload, qos: 1, retain: true }))?.reason)
  }
  expect(new Set(reasons)).toEqual(new Set([0, 0x97]))
  expect((await counter('retained')) - before).toBe(reasons.filter((code) => code === 0x97).length)
  for (let i = 0; i < 20; i++) await client.publish({ topic: `r/${i}`, qos: 1, retain: true })
  expect(await client.publish({ topic: 'r/last', payload, qos: 1, retain: true })).toMatchObject({ reason: 0 })
})

describe('connections', () => {
  it('of an account, more than its limit: 0x97, 3.1.1: 3; a takeover is no more', async () => {
    const me = await credentials()
    const [first] = await Promise.all([1, 2, 3].map((n) => loginRaw(broker.mqttPort, { ...me, clientId: `c${n}` })))
    expect([await knock(me), await knock({ ...me, level: 4 })]).toEqual([0x97, 3])
    const again = await loginRaw(broker.mqttPort, { ...me, clientId: 'c1' })
    expect(await first?.ended()).toBe(0x8e)
    expect(await knock(me)).toBe(0x97)
    await again.leave()
    await eventually(async () => (await knock(me)) === 0)
  })

  it('that break, or are refused for another reason, leave their place', async () => {
    const me = await credentials()
    for (let i = 0; i < 8; i++) {
      const client = await loginRaw(broker.mqttPort, { ...me, clientId: `b${i}` })
      await client.break()
      expect(await knock({ ...me, will: { topic: 'u/x/msg', payload: '' } })).toBe(0x87)
    }
    await eventually(async () => (await knock(me)) === 0)
  })

  it('of an address, more than its limit: 0x97', async () => {
    const sockets = Array.from({ length: 31 }, () => new RawMqtt(broker.mqttPort))
    const me = await credentials()
    await eventually(async () => (await knock(me)) === 0x97)
    for (const socket of sockets) await socket.break()
    await eventually(async () => (await knock(me)) === 0)
  })
})

it('a client that only comes and goes is kept out for a while: 0x8A, 3.1.1: 5', async () => {
  const me = { ...(await credentials()), clientId: newName() }
  for (let i = 0; i < 5; i++) await (await loginRaw(broker.mqttPort, me)).break()
  await eventually(async () => (await knock(me)) === 0x8a)
  expect([await knock({ ...me, level: 4 }), await knock({ ...me, clientId: newName() })]).toEqual([5, 0])
  expect(await counter('flapping')).toBeGreaterThanOrEqual(2)
  await eventually(async () => (await knock(me)) === 0)
  for (let i = 0; i < 10; i++) expect(await knock(me)).toBe(0)
})

describe('rates', () => {
  let slow: TestBroker
  beforeAll(async () => {
    slow = await startTestBroker({
      env: { CLEARBOX_LIMIT_PUBLISHES_PER_SECOND: '20', CLEARBOX_LIMIT_CONNECTS_PER_SECOND: '2' },
    })
    account = await slow.account()
  })
  afterAll(() => slow.stop())

  it('who publishes too fast is read no faster; nothing is lost, and others do not wait', async () => {
    const me = { username: account.name, password: account.password }
    const [subscriber, fast, other] = await Promise.all([1, 2, 3].map(() => loginRaw(slow.mqttPort, me)))
    if (!subscriber || !fast || !other) throw new Error('no clients')
    await subscriber.subscribe([{ filter: 'fast', qos: 0 }])
    const began = performance.now()
    fast.send(...Array.from({ length: 60 }, (_, i) => publishPacket(5, { topic: 'fast', payload: `${i}` })))
    await other.publish({ topic: 'other', qos: 1 })
    const got = await subscriber.publishes(60)
    expect(got.map(({ payload }) => payload)).toEqual(Array.from({ length: 60 }, (_, i) => `${i}`))
    // 40 at once, 20 in the second behind.
    expect(performance.now() - began).toBeGreaterThan(900)
    const text = await (await fetch(`${slow.http}/metrics`)).text()
    expect(text).toMatch(/^clearbox_limit_publish_rate_total [1-9]/m)
  })

  it('who connects too fast gets 0x9F, MQTT.js too', async () => {
    const url = `mqtt://127.0.0.1:${slow.mqttPort}`
    const options = {
      protocolVersion: 5,
      username: account.name,
      password: account.password,
      reconnectPeriod: 0,
    } as const
    const fault = await eventually(async () => {
      try {
        await (await mqtt.connectAsync(url, options)).endAsync()
        return false
      } catch (refused) {
        return refused
      }
    })
    expect(fault).toMatchObject({ code: 0x9f })
  })
})
