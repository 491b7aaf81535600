// DESIGN §5: what a session that is online acknowledges at once costs no write.
import { afterAll, beforeAll, expect, it } from 'vitest'
import { startTestBroker, type TestBroker } from '../helpers/broker.ts'
import { loginRaw, type RawMqtt } from '../helpers/mqtt-raw.ts'

let broker: TestBroker
beforeAll(async () => {
  broker = await startTestBroker()
})
afterAll(() => broker.stop())

type Member = Readonly<{ client: RawMqtt; clientId: string }>

async function member(filter: string, qos: 1 | 2 = 1): Promise<Member> {
  const { name, password } = await broker.account()
  const clientId = crypto.randomUUID()
  const properties = { sessionExpiryInterval: 1000 }
  const client = await loginRaw(broker.mqttPort, { username: name, password, clientId, clean: false, properties })
  await client.subscribe([{ filter, qos }])
  return { client, clientId }
}

async function publisher(): Promise<RawMqtt> {
  const { name, password } = await broker.account()
  return loginRaw(broker.mqttPort, { username: name, password })
}

async function queueOf({ clientId }: Member): Promise<string[]> {
  const session = (await broker.store.sessions.all()).find((one) => one.clientId === clientId)
  const rows = await broker.store.queues.read(session?.id ?? 0, 0, 100)
  return rows.map(({ payload }) => payload.toString())
}

it('leaves out of the store what its subscriber has acknowledged, and keeps what it has not', async () => {
  const prompt = await member('linger/one')
  prompt.client.autoAck = true
  const sender = await publisher()
  await sender.publish({ topic: 'linger/one', payload: 'taken', qos: 1 })
  expect((await prompt.client.expect('publish')).payload).toBe('taken')
  expect(await queueOf(prompt)).toEqual([])

  prompt.client.autoAck = false
  await sender.publish({ topic: 'linger/one', payload: 'kept', qos: 1 })
  expect(await queueOf(prompt)).toEqual(['kept'])
})

it('writes only the references of those who are away or do not answer', async () => {
  const [prompt, slow, away] = [await member('linger/many'), await member('linger/many'), await member('linger/many')]
  prompt.client.autoAck = true
  await away.client.leave()
  await (await publisher()).publish({ topic: 'linger/many', payload: 'x', qos: 1 })
  expect(await queueOf(prompt)).toEqual([])
  expect(await queueOf(slow)).toEqual(['x'])
  expect(await queueOf(away)).toEqual(['x'])
})

it('writes at once what goes out at QoS 2, and what is published with it', async () => {
  const [exact, prompt] = [await member('linger/exact', 2), await member('linger/exact', 1)]
  prompt.client.autoAck = true
  await (await publisher()).publish({ topic: 'linger/exact', payload: 'x', qos: 2 })
  expect((await exact.client.expect('publish')).qos).toBe(2)
  expect(await queueOf(exact)).toEqual(['x'])
  expect((await prompt.client.expect('publish')).qos).toBe(1)
})

it('sends again what lingered when its session comes back, and then what came meanwhile', async () => {
  const { name, password } = await broker.account()
  const fields = {
    username: name,
    password,
    clientId: 'phone',
    clean: false,
    properties: { sessionExpiryInterval: 1000 },
  }
  const first = await loginRaw(broker.mqttPort, fields)
  await first.subscribe(['linger/back'])
  const sender = await publisher()
  for (const payload of ['0', '1', '2']) await sender.publish({ topic: 'linger/back', payload, qos: 1 })
  await first.publishes(3)
  await first.leave()
  await sender.publish({ topic: 'linger/back', payload: '3', qos: 1 })
  const again = await loginRaw(broker.mqttPort, fields)
  const got = await again.publishes(4)
  expect(got.map(({ payload, dup }) => [payload, dup])).toEqual([
    ['0', true],
    ['1', true],
    ['2', true],
    ['3', false],
  ])
})
