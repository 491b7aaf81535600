// QoS 2 as mosquitto_pub and mosquitto_sub speak it.
import { afterAll, beforeAll, expect, it } from 'vitest'
import { type Server, startServer } from '../helpers/process.ts'
import { publish, subscribe } from './mosquitto.ts'

let server: Server
beforeAll(async () => {
  server = await startServer()
  for (const name of ['alice', 'bob']) await server.addUser(name)
})
afterAll(() => server.dispose())

it.each(['mqttv31', 'mqttv311', 'mqttv5'])('%s: each message once, online and from the queue', async (version) => {
  const topic = `two/${version}`
  const session = ['-i', version, '-c', ...(version === 'mqttv5' ? ['-x', '600'] : [])]
  const options = ['-q', '2', '-V', version, '-C', '3', ...session]
  const online = await subscribe(server, 'bob', [topic], options)
  for (const text of ['1', '2', '3']) await publish(server, 'alice', topic, text, 2)
  await online.exited
  for (const text of ['4', '5']) await publish(server, 'alice', topic, text, 2)
  const later = await subscribe(server, 'bob', [topic], options)
  await later.until(({ text }) => text === '5')
  await publish(server, 'alice', topic, 'last', 2)
  await later.exited
  expect([...online.shown, ...later.shown].map(({ text }) => text)).toEqual(['1', '2', '3', '4', '5', 'last'])
})
