// `kill -9` under load: QoS 2 between persistent sessions comes exactly once and in order (DESIGN §5, MQTT 5 §4.3.3).
import { afterAll, beforeAll, expect, it } from 'vitest'
import { eventually } from '../helpers/eventually.ts'
import { ExactClient } from '../helpers/exact-client.ts'
import { loginRaw } from '../helpers/mqtt-raw.ts'
import { passwordOf, type Server, startServer } from '../helpers/process.ts'

const topic = 'exact/once'
const perRound = 600
const victims = ['broker', 'broker', 'broker and database', 'broker', 'broker'] as const

let server: Server
beforeAll(async () => {
  server = await startServer()
  for (const name of ['alice', 'bob', 'carol']) await server.addUser(name)
})
afterAll(() => server.dispose())

const login = (name: string, level: 4 | 5) =>
  ({ level, username: name, password: passwordOf(name), clientId: 'exact' }) as const

async function subscribed(name: string, level: 4 | 5): Promise<ExactClient> {
  const properties = level === 5 ? { properties: { sessionExpiryInterval: 1000 } } : {}
  const first = await loginRaw(server.ports.mqtt, { ...login(name, level), clean: false, ...properties })
  await first.subscribe([{ filter: topic, qos: 2 }])
  await first.leave()
  return new ExactClient(login(name, level))
}

it(`through ${victims.length} kills of the broker, and of the database with it`, async () => {
  const publisher = new ExactClient(login('alice', 5))
  const subscribers = [await subscribed('bob', 4), await subscribed('carol', 5)]
  const clients = [publisher, ...subscribers]
  const running = clients.map((client) => client.run(() => server.ports.mqtt))
  const payloads: string[] = []
  const publishRound = (): void => {
    for (let i = 0; i < perRound; i++) {
      const payload = `${payloads.length}`
      payloads.push(payload)
      publisher.publish(topic, payload)
    }
  }
  const [bob] = subscribers
  for (const what of victims) {
    const before = payloads.length
    publishRound()
    const least = before + Math.random() * perRound * 0.8
    await eventually(() => (bob?.delivered.length ?? 0) > least, 30_000)
    await server.kill(what)
    server = await server.restart()
  }
  publishRound()
  const isOver = ({ delivered, received }: ExactClient) => delivered.length >= payloads.length && received.size === 0
  await eventually(() => publisher.isDone && subscribers.every(isOver), 30_000)
  for (const client of clients) client.end()
  await Promise.all(running)
  for (const { delivered } of subscribers) expect(delivered).toEqual(payloads)
})
