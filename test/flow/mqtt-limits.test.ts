// What happens at the limits of DESIGN §9, with a database that does not answer and with clients that do not read.
import { join } from 'node:path'
import { Client } from 'pg'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { makeVerifiers } from '../../broker/auth/scram.ts'
import { defaultLimits } from '../../broker/limits.ts'
import { clientConfig } from '../../storage/embedded/attach.ts'
import { readClaim } from '../../storage/embedded/postmaster.ts'
import { startTestBroker, type TestBroker } from '../helpers/broker.ts'
import { eventually } from '../helpers/eventually.ts'
import { type ConnectFields, pingPacket, publishPacket } from '../helpers/mqtt-bytes.ts'
import { loginRaw, type RawMqtt } from '../helpers/mqtt-raw.ts'

type Account = Readonly<{ name: string; password: string }>

let broker: TestBroker
let account: Account
let database: Client
let names = 0
beforeAll(async () => {
  broker = await startTestBroker({ limits: { ...defaultLimits, outputBytes: 64 * 1024, outputStallMs: 4000 } })
  account = await broker.account()
  const claim = await readClaim(join(broker.dataDir, 'postgres'))
  database = new Client(clientConfig(claim?.socketFolder ?? ''))
  await database.connect()
})
afterAll(async () => {
  await database.end()
  await broker.stop()
})

const newName = () => `l${++names}`
const login = (fields: ConnectFields = {}, { name, password } = account) =>
  loginRaw(broker.mqttPort, { username: name, password, ...fields })
const persistent = (clientId: string) => ({ clientId, clean: false, properties: { sessionExpiryInterval: 1000 } })

/** Commits to the table wait until the promise of `work` is fulfilled. */
async function whileLocked<T>(table: 'queue_bodies' | 'messages', work: () => Promise<T>): Promise<T> {
  await database.query('BEGIN')
  await database.query(`LOCK TABLE ${table} IN SHARE MODE`)
  try {
    return await work()
  } finally {
    await database.query('COMMIT')
  }
}

async function counter(name: string): Promise<number> {
  const text = await (await fetch(`${broker.http}/metrics`)).text()
  return Number(new RegExp(`^clearbox_${name} (\\d+)$`, 'm').exec(text)?.[1])
}

/** A persistent session that is away and has a QoS 1 subscription: what is published there must be stored. */
async function awaySession(topic: string): Promise<void> {
  const client = await login(persistent(newName()))
  await client.subscribe([topic])
  await client.leave()
}

const burst = (level: 4 | 5, topic: string, count: number) =>
  Array.from({ length: count }, (_, i) => publishPacket(level, { topic, payload: `${i}`, qos: 1, packetId: i + 1 }))

describe.each(['queue_bodies', 'messages'] as const)('while the commit to %s waits', (table) => {
  async function target() {
    const [topic, receiver] = [newName(), await broker.account()]
    if (table === 'messages') return `u/${receiver.name}/in`
    await awaySession(topic)
    return topic
  }

  it('no PUBACK leaves; QoS 0, and QoS 1 that nobody queues, go on; then all are acknowledged in order', async () => {
    const topic = await target()
    const [publisher, other, witness] = [await login(), await login(), await login()]
    const plain = newName()
    await witness.subscribe([plain])
    await whileLocked(table, async () => {
      publisher.send(...burst(5, topic, 64))
      await publisher.ping()
      for (let i = 0; i < 20; i++) await other.publish({ topic: plain, payload: `${i}`, qos: i % 2 === 0 ? 0 : 1 })
      expect((await witness.publishes(20)).map(({ payload }) => payload)).toEqual(
        Array.from({ length: 20 }, (_, i) => `${i}`),
      )
      // A later publish that needs no commit does not overtake: acknowledgements keep their order [MQTT-4.6.0-2].
      await publisher.ping()
    })
    for (let i = 1; i <= 64; i++) expect(await publisher.expect('puback')).toMatchObject({ packetId: i, reason: 0 })
    await publisher.ping()
  })

  it('the 65th publish ends an MQTT 5 connection with 0x93 [MQTT-3.3.4-9]', async () => {
    const topic = await target()
    const publisher = await login()
    await whileLocked(table, async () => {
      publisher.send(...burst(5, topic, 65))
      expect(await publisher.ended()).toBe(0x93)
    })
  })

  it('on 3.1.1 the 65th waits, keep alive or not, and in the end all are acknowledged in order', async () => {
    const topic = await target()
    const publisher = await login({ level: 4, keepAlive: 1 })
    await whileLocked(table, async () => {
      publisher.send(...burst(4, topic, 200))
      // Longer than the keep alive, which does not run against a socket that is not read.
      await new Promise((resolve) => setTimeout(resolve, 3500))
    })
    for (let i = 1; i <= 200; i++) expect(await publisher.expect('puback')).toMatchObject({ packetId: i })
  })
})

it('a persistent subscriber that is online gets QoS 1 before the commit, its publisher the PUBACK after it', async () => {
  const topic = newName()
  const [publisher, subscriber] = [await login(), await login(persistent(newName()))]
  await subscriber.subscribe([topic])
  await whileLocked('queue_bodies', async () => {
    publisher.send(...burst(5, topic, 10))
    expect((await subscriber.publishes(10)).map(({ payload }) => payload)).toEqual(
      Array.from({ length: 10 }, (_, i) => `${i}`),
    )
    await publisher.ping()
  })
  for (let i = 1; i <= 10; i++) await publisher.expect('puback')
})

it('acknowledgements of one connection never overtake each other, whatever needs a commit', async () => {
  const [stored, free] = [newName(), newName()]
  await awaySession(stored)
  const publisher = await login()
  await whileLocked('queue_bodies', async () => {
    publisher.send(
      ...Array.from({ length: 60 }, (_, i) =>
        publishPacket(5, { topic: i % 3 === 0 ? stored : free, payload: 'x', qos: 1, packetId: i + 1 }),
      ),
    )
    await publisher.ping()
  })
  for (let i = 1; i <= 60; i++) expect(await publisher.expect('puback')).toMatchObject({ packetId: i })
})

describe('a subscriber that does not read', () => {
  async function flood(topic: string, qos: 0 | 1, megabytes: number): Promise<RawMqtt> {
    const publisher = await login()
    const payload = Buffer.alloc(10_000, 'x')
    for (let i = 0; i < megabytes * 100; i += 50) {
      publisher.send(
        ...Array.from({ length: 50 }, (_, k) => {
          payload.write(`${i + k} `)
          return publishPacket(5, { topic, payload, qos, packetId: k + 1 })
        }),
      )
      if (qos === 0) await publisher.ping()
      else for (let k = 0; k < 50; k++) await publisher.expect('puback')
    }
    return publisher
  }

  it('loses QoS 0, which is counted; memory stays bounded, and another pair loses nothing (DESIGN §9)', async () => {
    const [topic, quick] = [newName(), newName()]
    const frozen = await login()
    await frozen.subscribe([topic])
    frozen.socket.pause()
    const [pitcher, catcher] = [await login(), await login()]
    await catcher.subscribe([quick])
    const [droppedBefore, memoryBefore] = [await counter('mqtt_qos0_dropped_total'), process.memoryUsage().rss]
    const flooding = flood(topic, 0, 60)
    for (let i = 0; i < 200; i++) {
      await pitcher.publish({ topic: quick, payload: `${i}`, qos: 1 })
      const packet = await catcher.expect('publish')
      expect(packet.payload).toBe(`${i}`)
      catcher.ack(packet)
    }
    await flooding
    expect(await counter('mqtt_qos0_dropped_total')).toBeGreaterThan(droppedBefore + 1000)
    expect((process.memoryUsage().rss - memoryBefore) / 2 ** 20).toBeLessThan(100)
    // It comes back: what it has is in order, and what is new arrives.
    frozen.socket.resume()
    const publisher = await login()
    let last = -1
    await eventually(async () => {
      await publisher.publish({ topic, payload: 'end' })
      for (;;) {
        const { payload } = await frozen.expect('publish')
        if (payload === 'end') return true
        const n = Number.parseInt(payload, 10)
        expect(n).toBeGreaterThan(last)
        last = n
      }
    })
  })

  it('with QoS 1 and a persistent session gets everything in order when it reads again', async () => {
    const topic = newName()
    const frozen = await login(persistent(newName()))
    await frozen.subscribe([topic])
    frozen.socket.pause()
    await flood(topic, 1, 10)
    frozen.autoAck = true
    frozen.socket.resume()
    const got = await frozen.publishes(1000)
    expect(got.map(({ payload }) => Number.parseInt(payload, 10))).toEqual(Array.from({ length: 1000 }, (_, i) => i))
    await frozen.ping()
  })

  it('is closed when its output does not drain, and its session is kept (DESIGN §9)', async () => {
    const [topic, id] = [newName(), newName()]
    const frozen = await login(persistent(id))
    await frozen.subscribe([{ filter: topic, qos: 0 }, `${topic}/kept`])
    frozen.socket.pause()
    await flood(topic, 0, 30)
    const connections = await counter('mqtt_connections')
    await eventually(async () => (await counter('mqtt_connections')) < connections, 15_000)
    const publisher = await login()
    await publisher.publish({ topic: `${topic}/kept`, payload: 'kept', qos: 1 })
    const again = await login(persistent(id))
    expect(await again.expect('publish')).toMatchObject({ payload: 'kept' })
  })

  it('and that asks all the time is not read until it takes its answers (DESIGN §9)', async () => {
    const { socket } = await login()
    socket.removeAllListeners('data')
    socket.pause()
    const before = process.memoryUsage().rss
    const pings = Buffer.alloc(12_000_000, pingPacket)
    socket.write(pings)
    await (await login()).ping()
    expect((process.memoryUsage().rss - before) / 2 ** 20).toBeLessThan(60)
    // It takes them: every ping is answered.
    let answered = 0
    socket.on('data', (chunk: Buffer) => {
      answered += chunk.length
    })
    socket.resume()
    await eventually(() => answered === pings.length)
  })
})

it('a password that changes while a session is frozen still ends it', async () => {
  const other = await broker.account()
  const client = await login({}, other)
  client.socket.pause()
  const connections = await counter('mqtt_connections')
  await broker.store.accounts.setVerifiers(other.name, await makeVerifiers('changed'))
  await eventually(async () => (await counter('mqtt_connections')) < connections, 5000)
  client.socket.resume()
  expect(await client.ended()).toBe(0x98)
})
