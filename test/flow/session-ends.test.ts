// What a client has begun when it leaves: nothing of it stays.
import { afterAll, beforeAll, expect, it } from 'vitest'
import { startTestBroker, type TestBroker } from '../helpers/broker.ts'
import { connectPacket, subscribePacket } from '../helpers/mqtt-bytes.ts'
import { RawMqtt } from '../helpers/mqtt-raw.ts'
import { createRest } from '../helpers/rest.ts'
import { loginClient } from '../script/xmpp-client.ts'

let broker: TestBroker
beforeAll(async () => {
  broker = await startTestBroker()
})
afterAll(() => broker.stop())

async function metric(name: string): Promise<number> {
  const { text } = await createRest(broker.http).get('/metrics')
  return Number(new RegExp(`^clearbox_${name} (\\d+)$`, 'm').exec(text)?.[1])
}

async function quiet(): Promise<void> {
  await expect.poll(() => metric('mqtt_connections'), { interval: 100, timeout: 10_000 }).toBe(0)
  await expect.poll(() => metric('xmpp_connections'), { interval: 100, timeout: 10_000 }).toBe(0)
  await expect.poll(() => metric('followers'), { interval: 100, timeout: 10_000 }).toBe(0)
}

it.each([
  ['clients of their own', (n: number) => `own-${n}`, 0],
  ['one client that takes itself over', () => 'same', 0],
  ['one client that takes over its persistent session', () => 'kept', 60],
])('a SUBSCRIBE to streams that is overtaken by the end follows nothing: %s', async (_what, clientId, expiry) => {
  const { name, password } = await broker.account()
  const filters = ['msg', 'sent', 'text', 'evt', 'err'].map((stream) => ({
    filter: `u/${name}/${stream}`,
    qos: 1 as const,
  }))
  const clients: RawMqtt[] = []
  for (let n = 0; n < 60; n++) {
    const client = new RawMqtt(broker.mqttPort)
    const properties = expiry > 0 ? { sessionExpiryInterval: expiry } : {}
    const fields = {
      level: 5,
      username: name,
      password,
      clientId: clientId(n),
      clean: n % 2 === 0,
      properties,
    } as const
    client.send(connectPacket(fields), subscribePacket(5, 1, filters), subscribePacket(5, 2, filters))
    await client.expect('connack')
    clients.push(client)
    if (n % 3 > 0) client.socket.destroy()
  }
  for (const client of clients) client.socket.destroy()
  await quiet()
})

it('a presence that is overtaken by the end of its stream follows nothing', async () => {
  const { name } = await broker.account()
  for (let n = 0; n < 20; n++) {
    const client = await loginClient(broker.xmppPort, name, `r${n % 3}`)
    client.write('<presence/>')
    client.destroy()
  }
  await quiet()
})
