// MQTT 5 §3.1.2.11, §4.1, §4.4, §4.6; 3.1.1 §3.1.2.4, §4.4: what a session keeps while its client is away.
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { defaultLimits } from '../../broker/limits.ts'
import { startTestBroker, type TestBroker } from '../helpers/broker.ts'
import { eventually } from '../helpers/eventually.ts'
import { pingPacket, publishPacket } from '../helpers/mqtt-bytes.ts'
import { loginRaw, type RawMqtt, type ServerPublish } from '../helpers/mqtt-raw.ts'

type Account = Readonly<{ name: string; password: string }>

let broker: TestBroker
let account: Account
let names = 0
beforeAll(async () => {
  broker = await startTestBroker()
  account = await broker.account()
})
afterAll(() => broker.stop())

const newName = () => `s${++names}`
const payloads = (packets: readonly ServerPublish[]) => packets.map(({ payload }) => payload)
const numbers = (from: number, to: number) => Array.from({ length: to - from }, (_, i) => `${from + i}`)

type Options = Readonly<{ clean?: boolean; receiveMaximum?: number; on?: TestBroker; level?: 4 | 5 }>

/** Connects a persistent session. */
function persist(clientId: string, options: Options = {}): Promise<RawMqtt> {
  const { clean = false, receiveMaximum, on = broker, level = 5 } = options
  return loginRaw(on.mqttPort, {
    level,
    clientId,
    clean,
    username: account.name,
    password: account.password,
    properties: { sessionExpiryInterval: 1000, ...(receiveMaximum && { receiveMaximum }) },
  })
}
const publisherOn = (on: TestBroker = broker) =>
  loginRaw(on.mqttPort, { username: account.name, password: account.password })

async function publishAll(publisher: RawMqtt, topic: string, all: readonly string[], qos: 0 | 1 = 1): Promise<void> {
  const window = 50
  for (let at = 0; at < all.length; at += window) {
    const some = all.slice(at, at + window)
    publisher.send(...some.map((payload, i) => publishPacket(5, { topic, payload, qos, packetId: i + 1 })))
    if (qos === 1) for (const _ of some) await publisher.expect('puback')
  }
  if (qos === 0) await publisher.ping()
}

describe.each([4, 5] as const)('a persistent session at level %i', (level) => {
  it('gets what was published with QoS 1 while it was away, in order, and nothing of QoS 0 [MQTT-3.1.2-5]', async () => {
    const [id, topic] = [newName(), newName()]
    const publisher = await publisherOn()
    const first = await persist(id, { level })
    await first.subscribe([`${topic}/#`])
    await first.leave()
    const sent = numbers(0, 300)
    await publishAll(publisher, `${topic}/a`, ['lost'], 0)
    await publishAll(publisher, `${topic}/a`, sent)
    const second = await persist(id, { level })
    second.autoAck = true
    const got = await second.publishes(sent.length)
    expect(payloads(got)).toEqual(sent)
    expect(got.some(({ dup }) => dup)).toBe(false)
    await second.ping()
    await second.leave()
    const third = await persist(id, { level })
    await third.ping()
  })

  it('sends again what was in flight, with DUP and the same packet ids, then goes on [MQTT-4.4.0-1]', async () => {
    const [id, topic] = [newName(), newName()]
    const publisher = await publisherOn()
    const first = await persist(id, { level })
    await first.subscribe([topic])
    await publishAll(publisher, topic, numbers(0, 4))
    const flying = await first.publishes(4)
    const [, second] = flying
    if (second) first.ack(second)
    await first.leave()
    await publishAll(publisher, topic, ['new'])
    const again = await persist(id, { level })
    const got = await again.publishes(4)
    expect(payloads(got)).toEqual(['0', '2', '3', 'new'])
    expect(got.map(({ dup }) => dup)).toEqual([true, true, true, false])
    const expected = flying.filter((packet) => packet !== second).map(({ packetId }) => packetId)
    expect(got.slice(0, 3).map(({ packetId }) => packetId)).toEqual(expected)
    expect(expected).not.toContain(got[3]?.packetId)
  })

  it('is emptied by a clean start [MQTT-3.1.2-4]', async () => {
    const [id, topic] = [newName(), newName()]
    const publisher = await publisherOn()
    const first = await persist(id, { level })
    await first.subscribe([topic])
    await publishAll(publisher, topic, ['flying'])
    await first.publishes(1)
    await first.leave()
    await publishAll(publisher, topic, ['queued'])
    const second = await persist(id, { level, clean: true })
    await publishAll(publisher, topic, ['not subscribed'])
    await second.ping()
  })

  it('gets nothing any more after UNSUBSCRIBE, also after coming back [MQTT-3.10.4-2]', async () => {
    const [id, topic] = [newName(), newName()]
    const publisher = await publisherOn()
    const first = await persist(id, { level })
    await first.subscribe([topic, `${topic}/kept`])
    await first.unsubscribe([topic])
    await first.leave()
    await publishAll(publisher, topic, ['lost'])
    await publishAll(publisher, `${topic}/kept`, ['kept'])
    const second = await persist(id, { level })
    expect(payloads(await second.publishes(1))).toEqual(['kept'])
    await second.ping()
  })
})

it('a queue, its subscriptions and retained messages survive a restart, in order', async () => {
  let other = await startTestBroker()
  const { name, password } = await other.account()
  const fields = { username: name, password, clean: false, properties: { sessionExpiryInterval: 1000 } }
  const publisher = await loginRaw(other.mqttPort, { username: name, password })
  const [away, online] = ['away', 'online'].map((clientId) => ({ ...fields, clientId }))
  const first = await loginRaw(other.mqttPort, { ...away })
  await first.subscribe(['q/#'], { subscriptionIdentifier: 5 })
  await first.leave()
  const live = await loginRaw(other.mqttPort, { ...online })
  await live.subscribe(['q/#'])
  const sent = numbers(0, 200)
  await publishAll(publisher, 'q/x', sent)
  for (const packet of (await live.publishes(64)).slice(0, 10)) live.ack(packet)
  // Ten more follow the ten acknowledgements.
  await live.publishes(10)
  await live.ping()
  for (const [topic, payload, qos] of [
    ['r/0', 'zero', 0],
    ['r/1', 'one', 1],
    ['r/gone', 'x', 1],
    ['r/gone', '', 1],
  ] as const)
    await publisher.publish({ topic, payload, qos, retain: true })
  await publisher.ping()
  other = await other.restart()

  const second = await loginRaw(other.mqttPort, { ...away })
  second.autoAck = true
  const got = await second.publishes(sent.length)
  expect(payloads(got)).toEqual(sent)
  expect(got.every(({ dup, properties }) => !dup && properties.subscriptionIdentifiers?.[0] === 5)).toBe(true)
  const liveAgain = await loginRaw(other.mqttPort, { ...online })
  liveAgain.autoAck = true
  const rest = await liveAgain.publishes(190)
  expect(payloads(rest)).toEqual(sent.slice(10))
  // What had been sent and not acknowledged says so [MQTT-3.3.1-1].
  expect(rest.map(({ dup }) => dup)).toEqual(sent.slice(10).map((_, i) => i < 64))
  await liveAgain.subscribe(['r/#'])
  const kept = await liveAgain.publishes(2)
  expect(kept.map(({ topic, payload, qos, retain }) => [topic, payload, qos, retain]).toSorted()).toEqual([
    ['r/0', 'zero', 0, true],
    ['r/1', 'one', 1, true],
  ])
  await liveAgain.ping()
  await other.stop()
})

it('never has more unacknowledged than a Receive Maximum of 2, and a smaller one after coming back [MQTT-3.3.4-9]', async () => {
  const [id, topic] = [newName(), newName()]
  const publisher = await publisherOn()
  const first = await persist(id, { receiveMaximum: 5 })
  await first.subscribe([topic])
  const sent = numbers(0, 20)
  await publishAll(publisher, topic, sent)
  expect(payloads(await first.publishes(5))).toEqual(sent.slice(0, 5))
  await first.ping()
  await first.break()
  const second = await persist(id, { receiveMaximum: 2 })
  const flying = await second.publishes(2)
  await second.ping()
  for (let i = 2; i < 20; i++) {
    const oldest = flying.shift()
    if (oldest) second.ack(oldest)
    const packet = await second.expect('publish')
    expect([packet.payload, packet.dup]).toEqual([`${i}`, i < 5])
    flying.push(packet)
    await second.ping()
  }
})

it('a packet id that is in flight is never given to another message [MQTT-2.2.1-4]', async () => {
  const [id, topic] = [newName(), newName()]
  const publisher = await publisherOn()
  const subscriber = await persist(id, { receiveMaximum: 4 })
  await subscriber.subscribe([topic])
  const sent = numbers(0, 300)
  await publishAll(publisher, topic, sent)
  const flying = new Map<number, ServerPublish>()
  const got: string[] = []
  while (got.length < sent.length) {
    const packet = await subscriber.expect('publish')
    expect(flying.has(packet.packetId)).toBe(false)
    expect(flying.size).toBeLessThan(4)
    flying.set(packet.packetId, packet)
    got.push(packet.payload)
    // Not the oldest first: ids come back in another order.
    if (flying.size < 4 && got.length < sent.length) continue
    for (const one of [...flying.values()].reverse().slice(0, 3)) {
      flying.delete(one.packetId)
      subscriber.ack(one)
    }
  }
  expect(got).toEqual(sent)
})

it('an acknowledgement that nobody waits for changes nothing', async () => {
  const [id, topic] = [newName(), newName()]
  const subscriber = await persist(id)
  await subscriber.subscribe([topic])
  for (const packetId of [1, 64, 65, 65_535]) subscriber.ack({ packetId })
  await publishAll(await publisherOn(), topic, ['one'])
  const [packet] = await subscriber.publishes(1)
  for (let i = 0; i < 3; i++) if (packet) subscriber.ack(packet)
  await subscriber.ping()
})

/** Small and deterministic: the same seed plays the same game (Park and Miller). */
function dice(seed: number): (sides: number) => number {
  let state = seed
  return (sides) => {
    state = (state * 48_271) % 0x7fffffff
    return state % sides
  }
}

it.each([1, 2, 3, 4, 5, 6])(
  'falls behind, catches up and is live again without loss, repeat or disorder (§4.6), game %i',
  async (seed) => {
    const roll = dice(seed * 7919)
    const [id, topic] = [newName(), newName()]
    const publisher = await publisherOn()
    let subscriber = await persist(id, { receiveMaximum: 1 + roll(64) })
    await subscriber.subscribe([topic])
    let [published, acked] = [0, 0]
    let flying: ServerPublish[] = []
    const expectNext = (packet: ServerPublish): void => {
      expect(packet.payload).toBe(`${acked + flying.length}`)
      flying.push(packet)
    }
    for (let move = 0; move < 60; move++) {
      const kind = roll(10)
      if (kind < 5) {
        const count = roll(40)
        await publishAll(publisher, topic, numbers(published, published + count))
        published += count
      } else if (kind < 9) {
        // Takes some, acknowledges some of these.
        for (let i = roll(60); i > 0 && acked + flying.length < published; i--) {
          if (flying.length > 0 && roll(3) > 0) {
            const oldest = flying.shift()
            if (oldest) subscriber.ack(oldest)
            acked++
          } else if (flying.length === 0) expectNext(await subscriber.expect('publish'))
        }
      } else {
        // The broker has seen all acknowledgements when it answers the ping.
        subscriber.send(pingPacket)
        for (let packet = await subscriber.next(); packet.kind !== 'pingresp'; packet = await subscriber.next()) {
          if (packet.kind === 'publish') expectNext(packet)
        }
        await subscriber.break()
        flying = []
        subscriber = await persist(id, { receiveMaximum: 1 + roll(64) })
      }
    }
    while (acked < published) {
      if (flying.length === 0) expectNext(await subscriber.expect('publish'))
      const oldest = flying.shift()
      if (oldest) subscriber.ack(oldest)
      acked++
    }
    await subscriber.ping()
  },
)

it('is taken over again and again while messages come: nothing is lost, and what repeats says DUP [MQTT-3.1.4-3]', async () => {
  const [id, topic] = [newName(), newName()]
  let subscriber = await persist(id)
  await subscriber.subscribe([topic])
  const sent = numbers(0, 2000)
  const publishing = publishAll(await publisherOn(), topic, sent)
  const got: number[] = []
  let takes = 0
  while (got.at(-1) !== 1999) {
    const packet = await subscriber.next()
    if (packet.kind !== 'publish') continue
    const n = Number(packet.payload)
    const last = got.at(-1) ?? -1
    if (n <= last) expect(packet.dup).toBe(true)
    else expect(n).toBe(last + 1)
    if (n > last) got.push(n)
    subscriber.ack(packet)
    if (++takes % 150 === 0) subscriber = await persist(id)
  }
  await publishing
})

it('a subscriber that reads slowly gets all of QoS 1 in order while more keeps coming', async () => {
  const [id, topic] = [newName(), newName()]
  const subscriber = await persist(id)
  await subscriber.subscribe([topic])
  subscriber.autoAck = true
  const publishers = await Promise.all([publisherOn(), publisherOn()])
  const filler = 'x'.repeat(2000)
  const jobs = publishers.map((publisher, lane) =>
    publishAll(
      publisher,
      topic,
      numbers(0, 1500).map((n) => `${lane} ${n} ${filler}`),
    ),
  )
  const lanes: number[][] = [[], []]
  for (let i = 0; i < 3000; i++) {
    // Now and then the client does not read for a while.
    if (i % 500 === 250) {
      subscriber.socket.pause()
      setTimeout(() => subscriber.socket.resume(), 60)
    }
    const [lane, n] = (await subscriber.expect('publish')).payload.split(' ').map(Number)
    lanes[lane ?? 0]?.push(n ?? -1)
  }
  await Promise.all(jobs)
  const all = Array.from({ length: 1500 }, (_, i) => i)
  expect(lanes).toEqual([all, all])
  await subscriber.ping()
})

describe('a queue at its limit', () => {
  let small: TestBroker
  beforeAll(async () => {
    small = await startTestBroker({ limits: { ...defaultLimits, queueMessages: 200 } })
  })
  afterAll(() => small.stop())

  it('drops the oldest, counts them, tells the account on err, and then works on (DESIGN §9)', async () => {
    const { name, password } = await small.account()
    const login = { username: name, password }
    const watcher = await loginRaw(small.mqttPort, login)
    await watcher.subscribe([`u/${name}/err`])
    const publisher = await loginRaw(small.mqttPort, login)
    const fields = { ...login, clientId: 'full', clean: false, properties: { sessionExpiryInterval: 1000 } }
    const first = await loginRaw(small.mqttPort, fields)
    await first.subscribe(['full'])
    await first.leave()
    await publishAll(publisher, 'full', numbers(0, 1000))
    const dropped = async () => {
      const metrics = await (await fetch(`${small.http}/metrics`)).text()
      return Number(/^clearbox_mqtt_queue_dropped_total (\d+)$/m.exec(metrics)?.[1])
    }
    await eventually(async () => (await dropped()) >= 800)
    const second = await loginRaw(small.mqttPort, fields)
    second.autoAck = true
    const lost = await dropped()
    expect(payloads(await second.publishes(1000 - lost))).toEqual(numbers(lost, 1000))
    for (let told = 0; told < lost; ) {
      const notice = JSON.parse((await watcher.expect('publish')).payload)
      expect(notice).toMatchObject({ v: 1, kind: 'error', code: 'queue-overflow', clientId: 'full' })
      told += notice.dropped
    }
    await publishAll(publisher, 'full', numbers(1000, 1100))
    expect(payloads(await second.publishes(100))).toEqual(numbers(1000, 1100))
    await second.ping()
  })

  it('is never trimmed for a session that acknowledges in time', async () => {
    const { name, password } = await small.account()
    const login = { username: name, password }
    const publisher = await loginRaw(small.mqttPort, login)
    const subscriber = await loginRaw(small.mqttPort, {
      ...login,
      clientId: 'prompt',
      clean: false,
      properties: { sessionExpiryInterval: 1000 },
    })
    subscriber.autoAck = true
    await subscriber.subscribe(['prompt'])
    const got = subscriber.publishes(4000)
    await publishAll(publisher, 'prompt', numbers(0, 4000))
    expect(payloads(await got)).toEqual(numbers(0, 4000))
  })
})

it('20,000 retained messages come to a slow reader, each once, while the broker serves others', async () => {
  const root = newName()
  const publisher = await publisherOn()
  for (let at = 0; at < 20_000; at += 50) {
    const some = numbers(at, at + 50).map((payload, i) => {
      const qos = i % 2 === 0 ? 0 : 1
      return publishPacket(5, { topic: `${root}/${payload}`, payload, retain: true, qos, packetId: i + 1 })
    })
    publisher.send(...some)
    for (let i = 0; i < 25; i++) await publisher.expect('puback')
  }
  const reader = await persist(newName())
  reader.autoAck = true
  reader.socket.pause()
  setTimeout(() => reader.socket.resume(), 300)
  await reader.subscribe([`${root}/#`])
  await publisher.ping()
  const seen = new Set<string>()
  for (let i = 0; i < 20_000; i++) {
    const packet = await reader.expect('publish')
    expect(packet.retain && packet.topic === `${root}/${packet.payload}`).toBe(true)
    seen.add(packet.payload)
  }
  expect(seen.size).toBe(20_000)
  await reader.ping()
})
