// mosquitto_sub as an administrator reads $SYS.
import { afterAll, beforeAll, expect, it } from 'vitest'
import { type Server, startServer } from '../helpers/process.ts'
import { subscribe } from './mosquitto.ts'

let server: Server
beforeAll(async () => {
  server = await startServer({ env: { CLEARBOX_MQTT_SYS_SECONDS: '1' } })
  await server.addUser('boss', 'admin')
  await server.addUser('alice')
})
afterAll(() => server.dispose())

it("mosquitto_sub -t '$SYS/#' shows what is retained there, and what changes", async () => {
  const client = await subscribe(server, 'boss', ['$SYS/#'])
  const version = await client.until(({ topic }) => topic === '$SYS/broker/version')
  expect(version.text).toMatch(/^clearbox version /)
  const { text: first } = await client.until(({ topic }) => topic === '$SYS/broker/uptime')
  await client.until(({ topic, text }) => topic === '$SYS/broker/uptime' && text !== first)
  await client.until(({ topic, text }) => topic === '$SYS/broker/clients/connected' && text === '1')
  await client.stop()
})
