// MQTT 5 §4.3.3: whatever is lost with a connection, each message comes exactly once and in order.
import fc from 'fast-check'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { startTestBroker, type TestBroker } from '../helpers/broker.ts'
import { eventually } from '../helpers/eventually.ts'
import { ExactClient } from '../helpers/exact-client.ts'
import { runs } from '../helpers/hostile-fuzz.ts'
import { loginRaw } from '../helpers/mqtt-raw.ts'

let broker: TestBroker
beforeAll(async () => {
  broker = await startTestBroker()
})
afterAll(() => broker.stop())

/** How many steps go well before each break. */
const breaks = fc.array(fc.nat(25), { minLength: 1, maxLength: 12 })

function breaksAfter(steps: readonly number[]): () => boolean {
  const left = [...steps]
  let count = left.shift() ?? Number.POSITIVE_INFINITY
  return () => {
    if (count-- > 0) return false
    count = left.shift() ?? Number.POSITIVE_INFINITY
    return true
  }
}

it('between persistent sessions that are cut off at any step', { timeout: 60_000 }, async () => {
  await fc.assert(
    fc.asyncProperty(fc.constantFrom(4, 5), breaks, breaks, async (level, publishers, subscribers) => {
      const [one, two] = [await broker.account(), await broker.account()]
      const login = ({ name, password }: typeof one) =>
        ({ level, username: name, password, clientId: 'exact' }) as const
      const publisher = new ExactClient({ ...login(one), breaks: breaksAfter(publishers) })
      const subscriber = new ExactClient({ ...login(two), breaks: breaksAfter(subscribers) })
      const topic = `exact/${one.name}`
      await subscribeFirst(login(two), topic)
      const payloads = Array.from({ length: 40 }, (_, i) => `${i}`)
      for (const payload of payloads) publisher.publish(topic, payload)
      const running = [publisher, subscriber].map((client) => client.run(() => broker.mqttPort))
      const finished = () =>
        publisher.isDone && subscriber.delivered.length >= payloads.length && subscriber.received.size === 0
      await eventually(finished)
      for (const client of [publisher, subscriber]) client.end()
      await Promise.all(running)
      expect(subscriber.delivered).toEqual(payloads)
    }),
    runs(25),
  )
})

async function subscribeFirst(
  login: Readonly<{ level: 4 | 5; username: string; password: string; clientId: string }>,
  topic: string,
): Promise<void> {
  const properties = login.level === 5 ? { properties: { sessionExpiryInterval: 1000 } } : {}
  const client = await loginRaw(broker.mqttPort, { ...login, clean: false, ...properties })
  await client.subscribe([{ filter: topic, qos: 2 }])
  await client.leave()
}
