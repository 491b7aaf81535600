// What people do with MQTT Explorer: look at everything, publish a retained value, delete it.
import { connectAsync, type IClientOptions, type MqttClient } from 'mqtt'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { startTestBroker, type TestBroker } from '../helpers/broker.ts'

let broker: TestBroker
beforeAll(async () => {
  broker = await startTestBroker()
})
afterAll(() => broker.stop())

async function connect(options: IClientOptions): Promise<MqttClient> {
  const { name: username, password } = await broker.account('explorer')
  return connectAsync(`mqtt://127.0.0.1:${broker.mqttPort}`, { ...options, username, password, reconnectPeriod: 0 })
}

/** The codes of one SUBACK, which MQTT.js gives to nobody once one of them is a refusal. */
async function subackOf(client: MqttClient, filter: string): Promise<readonly unknown[]> {
  const codes = new Promise<readonly unknown[]>((resolve) => {
    client.on('packetreceive', (packet) => {
      if (packet.cmd === 'suback') resolve(packet.granted)
    })
  })
  client.subscribe(filter, { qos: 0 }, () => {})
  const granted = await codes
  client.removeAllListeners('packetreceive')
  return granted
}

it.each([4, 5] as const)(
  'at level %i # shows every plain topic and no chat; $SYS/# is refused and costs nothing',
  async (level) => {
    const root = `explorer/${level}`
    const sensor = await connect({})
    await sensor.publishAsync(`${root}/kept`, '20', { qos: 1, retain: true })

    const explorer = await connect({ protocolVersion: level })
    let closes = 0
    explorer.on('close', () => closes++)
    const seen: string[] = []
    explorer.on('message', (topic, payload, { retain }) => {
      if (topic.startsWith(root)) seen.push(`${retain ? 'kept ' : ''}${topic.slice(root.length)} ${payload}`)
      else if (!topic.startsWith('explorer/')) seen.push(topic)
    })
    expect(await subackOf(explorer, '#')).toEqual([0])
    expect(await subackOf(explorer, '$SYS/#')).toEqual([level === 5 ? 0x87 : 0x80])

    const reader = await broker.account('reader')
    await sensor.publishAsync(`u/${reader.name}/in`, 'for one reader', { qos: 1 })
    await sensor.publishAsync(`${root}/live`, '21', { qos: 1 })
    await explorer.publishAsync(`${root}/kept`, '', { retain: true, qos: 1 })
    await expect.poll(() => seen).toEqual(['kept /kept 20', '/live 21', '/kept '])
    expect([explorer.connected, closes]).toEqual([true, 0])
    await Promise.all([sensor.endAsync(), explorer.endAsync()])
  },
)
