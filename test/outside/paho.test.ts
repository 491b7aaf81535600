// paho-mqtt, the usual client of Python.
import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { startTestBroker, type TestBroker } from '../helpers/broker.ts'
import { python } from '../helpers/programs.ts'

const run = promisify(execFile)
const script = fileURLToPath(new URL('paho-client.py', import.meta.url))

let broker: TestBroker
beforeAll(async () => {
  broker = await startTestBroker()
})
afterAll(() => broker.stop())

it.each([
  { version: 4, name: '3.1.1', refusedFilter: 0x80, badPassword: 4 },
  { version: 5, name: '5', refusedFilter: 0x87, badPassword: 0x86 },
])('MQTT $name: plain topics, chat, retained messages and a persistent session', async (level) => {
  const { name, password } = await broker.account('paho')
  const args = [script, String(broker.mqttPort), name, password, String(level.version), `paho/${name}`]
  const { stdout } = await run(python, args, { timeout: 50_000 })
  expect(JSON.parse(stdout)).toEqual({
    connect: 0,
    granted: [1],
    plain: [`paho/${name}/a`, '00ff20706c61696e', 1, false],
    streams: [1, level.refusedFilter],
    chat: 'note to self',
    ...(level.version === 5 && { 'id in properties': true }),
    retained: ['kept', true],
    'session present': true,
    queued: ['0', '1', '2'],
    'wrong password': level.badPassword,
  })
})
