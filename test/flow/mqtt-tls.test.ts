// MQTT over TLS.
import { once } from 'node:events'
import { connect } from 'node:tls'
import { connectAsync } from 'mqtt'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { startTestBroker, type TestBroker } from '../helpers/broker.ts'

let broker: TestBroker
beforeAll(async () => {
  broker = await startTestBroker()
})
afterAll(() => broker.stop())

it.each(['TLSv1.2', 'TLSv1.3'] as const)('MQTT.js publishes and receives over %s', async (version) => {
  const { name: username, password } = await broker.account('alice')
  const url = `mqtts://127.0.0.1:${broker.mqttsPort}`
  const tls = { rejectUnauthorized: false, minVersion: version, maxVersion: version }
  const client = await connectAsync(url, { username, password, ...tls })
  const received: string[] = []
  client.on('message', (_topic, payload) => received.push(`${payload.length}`))
  await client.subscribeAsync(`tls/${username}`, { qos: 1 })
  for (const size of [1, 20_000, 1_000_000]) {
    await client.publishAsync(`tls/${username}`, Buffer.alloc(size), { qos: 1 })
  }
  await expect.poll(() => received).toEqual(['1', '20000', '1000000'])
  await client.endAsync()
})

it('a TLS that is no longer safe is refused', async () => {
  const old = { minVersion: 'TLSv1', maxVersion: 'TLSv1.1', ciphers: 'ALL:@SECLEVEL=0' } as const
  const socket = connect({ host: '127.0.0.1', port: broker.mqttsPort, rejectUnauthorized: false, ...old })
  const [fault] = (await once(socket, 'error')) as [NodeJS.ErrnoException]
  expect(fault.code).toBe('ERR_SSL_TLSV1_ALERT_PROTOCOL_VERSION')
})
