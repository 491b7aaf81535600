// DESIGN §5: what no device has taken waits for the next one, whatever came after it.
import { afterAll, beforeAll, expect, it } from 'vitest'
import { childText } from '../../adapters/xmpp/element.ts'
import { startTestBroker, type TestBroker } from '../helpers/broker.ts'
import { loginRaw } from '../helpers/mqtt-raw.ts'
import { logIn } from '../helpers/rest.ts'
import { loginClient } from '../script/xmpp-client.ts'

let broker: TestBroker
beforeAll(async () => {
  broker = await startTestBroker()
})
afterAll(() => broker.stop())

it.each([0, 1] as const)('an MQTT device at QoS %i that began later does not take what came before', async (qos) => {
  const [alice, bob] = [await broker.account('alice'), await broker.account('bob')]
  const rest = await logIn(broker.http, alice)
  const say = (text: string) => rest.post('/v1/messages', { to: bob.name, text })
  await say('while away')
  const device = await loginRaw(broker.mqttPort, { username: bob.name, password: bob.password })
  device.autoAck = true
  await device.subscribe([{ filter: `u/${bob.name}/msg`, qos }])
  await say('live')
  expect(JSON.parse((await device.expect('publish')).payload)).toMatchObject({ text: 'live' })
  await device.leave()

  const texts: (string | null)[] = []
  const phone = await loginClient(broker.xmppPort, bob.name, 'phone')
  phone.write('<presence/>')
  while (texts.length < 2) {
    const element = await phone.element()
    if (element.name === 'message') texts.push(childText(element, 'body'))
  }
  expect(texts).toEqual(['while away', 'live'])
  await phone.ping()
  phone.destroy()
})
