// One account on XMPP twice, MQTT and REST at the same time, with clients that we did not write.
import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { startTestBroker, type TestBroker } from '../helpers/broker.ts'
import { python } from '../helpers/programs.ts'

const script = fileURLToPath(new URL('xmpp-mixed-devices.py', import.meta.url))

let broker: TestBroker
beforeAll(async () => {
  broker = await startTestBroker()
})
afterAll(() => broker.stop())

it('what one device sends the others see, under one id; a torn phone misses nothing (XEP-0198, 0280, 0313)', async () => {
  const [alice, bob] = [await broker.account('alice'), await broker.account('bob')]
  const ports = [String(broker.xmppPort), String(broker.mqttPort), broker.http]
  const options = { timeout: 55_000 }
  const { stdout } = await promisify(execFile)(python, [script, ...ports, alice.name, bob.name], options)
  const others = ['by the sensor', 'by a script']
  expect(JSON.parse(stdout)).toEqual({
    copies: { phone: others, desk: [...others, 'by the phone'] },
    'one id': true,
    pushed: ['Friends'],
    'phone, each once': true,
    'desk, each once': true,
    'in order': true,
    'archive, each once': true,
  })
})
