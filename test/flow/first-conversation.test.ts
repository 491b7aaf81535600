import { connectAsync } from 'mqtt'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { startTestBroker, type TestBroker } from '../helpers/broker.ts'

let broker: TestBroker
beforeAll(async () => {
  broker = await startTestBroker()
})
afterAll(() => broker.stop())

it('a message sent over MQTT has one id on msg, on sent and in the history of REST', async () => {
  const [alice, bob] = [await broker.account('alice'), await broker.account('bob')]
  const connect = (who: typeof alice) =>
    connectAsync(`mqtt://127.0.0.1:${broker.mqttPort}`, { username: who.name, password: who.password })
  const [sender, receiver] = [await connect(alice), await connect(bob)]
  const next = (client: typeof sender) =>
    new Promise<Record<string, string>>((resolve) =>
      client.once('message', (_topic, payload) => resolve(JSON.parse(payload.toString()))),
    )
  await sender.subscribeAsync(`u/${alice.name}/sent`, { qos: 1 })
  await receiver.subscribeAsync(`u/${bob.name}/msg`, { qos: 1 })
  const [sent, received] = [next(sender), next(receiver)]
  await sender.publishAsync(`u/${bob.name}/in`, 'hi bob', { qos: 1 })
  expect((await received).text).toBe('hi bob')
  expect((await sent).id).toBe((await received).id)
  await sender.endAsync()
  await receiver.endAsync()
})
