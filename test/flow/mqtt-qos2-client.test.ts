// QoS 2 with MQTT.js on both sides, as an application uses it.
import { connectAsync, type MqttClient } from 'mqtt'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { startTestBroker, type TestBroker } from '../helpers/broker.ts'
import { eventually } from '../helpers/eventually.ts'

let broker: TestBroker
beforeAll(async () => {
  broker = await startTestBroker()
})
afterAll(() => broker.stop())

async function connect(protocolVersion: 4 | 5, clientId: string, clean: boolean): Promise<MqttClient> {
  const { name, password } = await broker.account()
  const properties = protocolVersion === 5 ? { properties: { sessionExpiryInterval: clean ? 0 : 1000 } } : {}
  const login = { username: name, password, clientId, clean, protocolVersion, reconnectPeriod: 10, ...properties }
  return connectAsync(`mqtt://127.0.0.1:${broker.mqttPort}`, login)
}

it.each([
  [4, true],
  [4, false],
  [5, true],
  [5, false],
] as const)(
  'MQTT version %i, clean %s: all arrives once and in order, through lost connections',
  async (version, clean) => {
    const topic = `two/${version}/${clean}`
    const subscriber = await connect(version, 'sub', clean)
    const publisher = await connect(version, 'pub', clean)
    const got: string[] = []
    subscriber.on('message', (_topic, payload, { qos }) => void got.push(`${payload} ${qos}`))
    expect(await subscriber.subscribeAsync(topic, { qos: 2 })).toMatchObject([{ topic, qos: 2 }])
    const payloads = Array.from({ length: 60 }, (_, i) => `${i}`)
    // MQTT.js does not look at the Receive Maximum of 64.
    const sending = payloads.map((payload) => publisher.publishAsync(topic, payload, { qos: 2 }))
    if (!clean) {
      await eventually(() => got.length > 20)
      for (const client of [subscriber, publisher]) client.stream.destroy()
    }
    await Promise.all(sending)
    await eventually(() => got.length >= payloads.length)
    expect(got.toSorted((one, other) => Number.parseInt(one, 10) - Number.parseInt(other, 10))).toEqual(
      payloads.map((payload) => `${payload} 2`),
    )
    if (clean) expect(got).toEqual(payloads.map((payload) => `${payload} 2`))
    await Promise.all([publisher.endAsync(), subscriber.endAsync()])
  },
)
