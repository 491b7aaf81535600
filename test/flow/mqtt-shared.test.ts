// MQTT 5 §4.8.2 and decision 0015: shared subscriptions, at levels 4 and 5.
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { defaultLimits } from '../../broker/limits.ts'
import { startTestBroker, type TestBroker } from '../helpers/broker.ts'
import { eventually } from '../helpers/eventually.ts'
import { publishPacket, pubrecPacket } from '../helpers/mqtt-bytes.ts'
import { loginRaw, RawMqtt, type ServerPublish } from '../helpers/mqtt-raw.ts'

type Options = Readonly<{ level?: 4 | 5; clientId?: string; receiveMaximum?: number; keeps?: boolean; on?: TestBroker }>

let broker: TestBroker
let account: Readonly<{ name: string; password: string }>
let publisher: RawMqtt
let names = 0
beforeAll(async () => {
  broker = await startTestBroker({ limits: { ...defaultLimits, cleanQueueMessages: 10 } })
  account = await broker.account()
  publisher = await member()
})
afterAll(() => broker.stop())

const newName = () => `share${++names}`
const numbers = (count: number, from = 0) => Array.from({ length: count }, (_, i) => `${from + i}`)
const payloads = (packets: readonly ServerPublish[]) => packets.map(({ payload }) => payload)
const inOrder = (all: readonly string[]) => [...all].sort((a, b) => Number(a) - Number(b))

function member({ level = 5, clientId = newName(), receiveMaximum, keeps = false, on = broker }: Options = {}) {
  const properties = { ...(keeps && { sessionExpiryInterval: 1000 }), ...(receiveMaximum && { receiveMaximum }) }
  return loginRaw(on.mqttPort, {
    level,
    clientId,
    clean: !keeps,
    username: account.name,
    password: account.password,
    properties,
  })
}

async function publishAll(topic: string, all: readonly string[], qos: 0 | 1 | 2 = 1, by = publisher): Promise<void> {
  for (const payload of all) await by.publish({ topic, payload, qos })
  await by.ping()
}

/** Waits until nothing has come for the members but what their sum must be. */
async function collect(clients: readonly RawMqtt[], counts: readonly number[]): Promise<string[][]> {
  const got = await Promise.all(clients.map(async (client, i) => payloads(await client.publishes(counts[i] ?? 0))))
  for (const client of clients) await client.ping()
  return got
}

describe.each([4, 5] as const)('at level %i', (level) => {
  it.each([0, 1, 2] as const)('QoS %i goes to one member each, in turn', async (qos) => {
    const topic = newName()
    const members = [await member({ level }), await member({ level }), await member({ level })]
    for (const one of members) {
      one.autoAck = true
      expect(await one.subscribe([{ filter: `$share/g/${topic}/+`, qos }])).toEqual([qos])
    }
    await publishAll(`${topic}/x`, numbers(9), qos)
    const got = await collect(members, [3, 3, 3])
    expect(inOrder(got.flat())).toEqual(numbers(9))
    for (const own of got) expect(own).toEqual(inOrder(own))
  })

  it('what a lost member with a clean session has not acknowledged goes to another', async () => {
    const topic = newName()
    const [first, second] = [await member({ level }), await member({ level })]
    for (const one of [first, second]) await one.subscribe([{ filter: `$share/g/${topic}`, qos: 1 }])
    await publishAll(topic, numbers(6))
    const own = payloads(await first.publishes(3))
    await first.break()
    const got = await second.publishes(6)
    expect(payloads(got).slice(3)).toEqual(own)
    expect(got.some(({ dup }) => dup)).toBe(false)
  })

  it('what a lost member with a queue has not acknowledged goes to another that has one', async () => {
    const topic = newName()
    const [first, second] = [await member({ level, keeps: true }), await member({ level, keeps: true })]
    for (const one of [first, second]) await one.subscribe([{ filter: `$share/g/${topic}`, qos: 1 }])
    await publishAll(topic, numbers(6))
    const [acked, ...open] = await first.publishes(3)
    if (acked) first.ack(acked)
    await first.ping()
    await first.break()
    expect(payloads(await second.publishes(5)).slice(3)).toEqual(payloads(open))
  })
})

it('is announced in CONNACK', async () => {
  const client = new RawMqtt(broker.mqttPort)
  const { properties } = await client.connect({ username: account.name, password: account.password })
  expect(properties).toMatchObject({ sharedSubscriptionAvailable: 1 })
})

it('is refused on streams, doors and what is reserved (DESIGN §2), and with a bad name [MQTT-4.8.2-1]', async () => {
  const { name } = account
  const shared = [`u/${name}/msg`, `u/${name}/in`, 'g/x/msg', 'cb/v1/rpc/x', '$share/h/x'].map(
    (filter) => `$share/g/${filter}`,
  )
  expect(await (await member()).subscribe(shared)).toEqual(shared.map(() => 0x9e))
  expect(await (await member({ level: 4 })).subscribe(shared)).toEqual(shared.map(() => 0x80))
  expect(await (await member()).subscribe(['$share//x', '$share/a+/x', '$share/g#/x', '$share/g'])).toEqual([
    0x8f, 0x8f, 0x8f, 0x8f,
  ])
})

it('No Local is a protocol error [MQTT-3.8.3-4]', async () => {
  const client = await member()
  await expect(client.subscribe([{ filter: '$share/g/x', noLocal: true }])).rejects.toThrow('"reason":130')
})

it('shows no retained message, and another filter of the same name is another subscription', async () => {
  const topic = newName()
  await publisher.publish({ topic, payload: 'old', qos: 1, retain: true })
  const [first, second] = [await member(), await member()]
  await first.subscribe([{ filter: `$share/g/${topic}`, qos: 1 }], { subscriptionIdentifier: 7 })
  await second.subscribe([{ filter: `$share/g/${topic}/#`, qos: 0 }])
  await publishAll(topic, ['new'])
  const [got] = await first.publishes(1)
  expect(got).toMatchObject({ payload: 'new', qos: 1, retain: false, properties: { subscriptionIdentifiers: [7] } })
  expect(await second.expect('publish')).toMatchObject({ payload: 'new', qos: 0 })
  await publisher.publish({ topic, payload: '', qos: 1, retain: true })
})

it('each member gets no more than the QoS that it was granted [MQTT-4.8.2-3]', async () => {
  const topic = newName()
  const members = [await member(), await member(), await member()]
  for (const [qos, one] of members.entries())
    await one.subscribe([{ filter: `$share/g/${topic}`, qos: qos as 0 | 1 | 2 }])
  await publishAll(topic, numbers(3), 2)
  for (const [qos, one] of members.entries()) expect((await one.expect('publish')).qos).toBe(qos)
})

it('stands beside an ordinary subscription of the same session, also with a queue', async () => {
  const topic = newName()
  const client = await member({ keeps: true })
  await client.subscribe([
    { filter: `$share/g/${topic}`, qos: 1 },
    { filter: topic, qos: 1 },
  ])
  await publishAll(topic, ['x'])
  const got = await client.publishes(2)
  expect(payloads(got)).toEqual(['x', 'x'])
  for (const packet of got) client.ack(packet)
  await client.ping()
})

it('goes to the members that have room, and what no member has room for waits within a limit', async () => {
  const topic = newName()
  const [full, quick] = [await member({ receiveMaximum: 1 }), await member()]
  for (const one of [full, quick]) await one.subscribe([{ filter: `$share/g/${topic}`, qos: 1 }])
  await publishAll(topic, numbers(10))
  expect(await collect([full, quick], [1, 9])).toHaveLength(2)
  await quick.leave()
  // Nine came back; a tenth fits, the eleventh pushes out the oldest.
  await publishAll(topic, numbers(2, 10))
  const got: string[] = []
  full.autoAck = true
  full.ack({ packetId: 1 })
  got.push(...payloads(await full.publishes(10)))
  expect(got.at(-1)).toBe('11')
  await full.ping()
})

it('waits in the queues of members that are away, and goes to the first that comes back', async () => {
  const topic = newName()
  const ids = [newName(), newName()]
  for (const clientId of ids) {
    const one = await member({ clientId, keeps: true })
    await one.subscribe([{ filter: `$share/g/${topic}`, qos: 2 }], { subscriptionIdentifier: 3 })
    await one.leave()
  }
  await publishAll(topic, numbers(200))
  const back = await member({ clientId: ids[1] ?? '', keeps: true })
  back.autoAck = true
  const got = await back.publishes(200)
  expect(inOrder(payloads(got))).toEqual(numbers(200))
  expect(got.every(({ properties }) => properties.subscriptionIdentifiers?.[0] === 3)).toBe(true)
  await back.ping()
  const other = await member({ clientId: ids[0] ?? '', keeps: true })
  await other.ping()
})

it('what waits for the only clean member that is online goes to the queue of another when that one unsubscribes', async () => {
  const topic = newName()
  const filter = `$share/g/${topic}`
  const away = await member({ keeps: true, clientId: `${topic}-away` })
  await away.subscribe([{ filter, qos: 1 }])
  await away.leave()
  const full = await member({ receiveMaximum: 1 })
  await full.subscribe([{ filter, qos: 1 }])
  await publishAll(topic, numbers(4))
  expect(payloads(await full.publishes(1))).toEqual(['0'])
  await full.unsubscribe([filter])
  const back = await member({ keeps: true, clientId: `${topic}-away` })
  expect(payloads(await back.publishes(3))).toEqual(['1', '2', '3'])
})

it('goes on after UNSUBSCRIBE, and after a clean start, with those that are left', async () => {
  const topic = newName()
  const [a, b] = [newName(), newName()]
  const leaving = await member({ clientId: a, keeps: true, receiveMaximum: 1 })
  const away = await member({ clientId: b, keeps: true })
  for (const one of [leaving, away]) await one.subscribe([{ filter: `$share/g/${topic}`, qos: 1 }])
  await away.leave()
  await publishAll(topic, numbers(5))
  const [first] = await leaving.publishes(1)
  await leaving.unsubscribe([`$share/g/${topic}`])
  if (first) leaving.ack(first)
  await leaving.ping()
  // All that is left is in the other queue; a clean start gives it to a third.
  const third = await member({ keeps: true })
  await third.subscribe([{ filter: `$share/g/${topic}`, qos: 1 }])
  const cleaned = await loginRaw(broker.mqttPort, {
    ...{ username: account.name, password: account.password, clientId: b, clean: true },
  })
  expect(payloads(await third.publishes(4))).toEqual(numbers(4, 1))
  await cleaned.ping()
})

it('QoS 2 that is half way stays with its member [MQTT-4.8.2-4], also when that one ends [MQTT-4.8.2-5]', async () => {
  const topic = newName()
  const clientId = newName()
  const first = await member({ clientId, keeps: true })
  await first.subscribe([{ filter: `$share/g/${topic}`, qos: 2 }])
  await publishAll(topic, ['sent', 'received'], 2)
  const [, received] = await first.publishes(2)
  first.send(pubrecPacket(received?.packetId ?? 0))
  await first.expect('pubrel')
  const second = await member({ keeps: true })
  await second.subscribe([{ filter: `$share/g/${topic}`, qos: 2 }])
  await first.break()
  await publishAll(topic, ['next'], 2)
  expect(payloads(await second.publishes(1))).toEqual(['next'])
  const again = await member({ clientId, keeps: true })
  expect(await again.expect('publish')).toMatchObject({ payload: 'sent', dup: true })
  expect((await again.expect('pubrel')).packetId).toBe(received?.packetId)
  await again.break()
  const cleaned = await member({ clientId })
  await cleaned.ping()
  await second.ping()
})

it('a refusal by its member ends a message [MQTT-4.8.2-6]', async () => {
  const topic = newName()
  const [first, second] = [await member({ keeps: true }), await member({ keeps: true })]
  await first.subscribe([{ filter: `$share/g/${topic}`, qos: 1 }])
  await publishAll(topic, ['no'])
  const { packetId } = await first.expect('publish')
  await second.subscribe([{ filter: `$share/g/${topic}`, qos: 1 }])
  first.send(Buffer.from([0x40, 3, packetId >> 8, packetId & 0xff, 0x80]))
  await first.ping()
  await first.break()
  await second.ping()
  await publishAll(topic, ['next'])
  expect((await second.expect('publish')).payload).toBe('next')
})

it('is acknowledged when it is in the queue of the chosen member, and survives a restart', async () => {
  let other = await startTestBroker()
  account = await other.account()
  const clientId = newName()
  const away = await member({ clientId, keeps: true, on: other })
  await away.subscribe([{ filter: '$share/g/kept/#', qos: 1 }])
  await away.leave()
  const sender = await member({ on: other })
  await publishAll('kept/x', ['0', '1'], 1, sender)
  const stored = (await other.store.sessions.all()).find((one) => one.clientId === clientId)
  expect(stored?.queued).toBe(2)
  other = await other.restart()
  const again = await member({ on: other })
  await publishAll('kept/x', ['2'], 1, again)
  const live = await member({ on: other, keeps: true })
  await live.subscribe([{ filter: '$share/g/kept/#', qos: 1 }])
  expect(inOrder(payloads(await live.publishes(3)))).toEqual(['0', '1', '2'])
  await other.replaceAcl([{ deny: 'subscribe', topics: ['kept/#'] }])
  expect(await live.subscribe([{ filter: '$share/g/kept/x', qos: 1 }])).toEqual([0x87])
  await eventually(async () => {
    const sessions = await other.store.sessions.all()
    return sessions.every(({ subscriptions }) => subscriptions.length === 0)
  })
  again.send(publishPacket(5, { topic: 'kept/x', payload: 'nobody', qos: 1, packetId: 9 }))
  await again.expect('puback')
  await live.ping()
  await other.stop()
})
