// Links to a real Mosquitto (decision 0017): MQTT 5, and 3.1.1 as its own bridges speak it.
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { writeFile } from 'node:fs/promises'
import { connect as dial } from 'node:net'
import { join } from 'node:path'
import mqtt, { type MqttClient } from 'mqtt'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { adminPassword, startTestBroker, type TestBroker } from '../helpers/broker.ts'
import { eventually } from '../helpers/eventually.ts'
import { scratchFolder } from '../helpers/store.ts'

const topics = [
  { filter: 'two/#', direction: 'both', qos: 2 },
  { filter: '#', direction: 'out', qos: 1, localPrefix: 'here/', remotePrefix: 'from/' },
]

let folder: Awaited<ReturnType<typeof scratchFolder>>
let port: number
let mosquitto: ChildProcess
let broker: TestBroker
const open: MqttClient[] = []

beforeAll(async () => {
  folder = await scratchFolder()
  port = 20_000 + (process.pid % 20_000)
  await startMosquitto()
  const links = [5, 4].map((protocolVersion) => ({
    name: `v${protocolVersion}`,
    url: `mqtt://127.0.0.1:${port}`,
    protocolVersion,
    topics: topics.map((topic) => ({
      ...topic,
      localPrefix: `v${protocolVersion}/${topic.localPrefix ?? ''}`,
      remotePrefix: `v${protocolVersion}/${topic.remotePrefix ?? ''}`,
    })),
  }))
  broker = await startTestBroker({ env: { CLEARBOX_LINKS: JSON.stringify(links) } })
})
afterEach(async () => {
  for (const client of open.splice(0)) await client.endAsync()
})
afterAll(async () => {
  await broker.stop()
  await stopMosquitto()
  await folder.remove()
})

async function startMosquitto(): Promise<void> {
  const file = join(folder.path, 'mosquitto.conf')
  const lines = [`listener ${port} 127.0.0.1`, 'allow_anonymous true', 'user root', 'persistence true']
  await writeFile(file, [...lines, `persistence_location ${folder.path}/`, ''].join('\n'))
  mosquitto = spawn('mosquitto', ['-c', file], { stdio: 'ignore' })
  await eventually(async () => {
    const socket = dial(port, '127.0.0.1')
    await once(socket, 'connect')
    socket.destroy()
  })
}

async function stopMosquitto(): Promise<void> {
  mosquitto.kill('SIGTERM')
  await once(mosquitto, 'exit')
}

async function watch(where: 'here' | 'there', filter: string) {
  const to = where === 'here' ? broker.mqttPort : port
  const login = where === 'here' ? { username: 'admin', password: adminPassword } : {}
  const client = await mqtt.connectAsync(`mqtt://127.0.0.1:${to}`, { ...login, protocolVersion: 5 })
  open.push(client)
  const seen: string[] = []
  client.on('message', (topic, payload) => void seen.push(`${topic} ${String(payload)}`))
  await client.subscribeAsync(filter, { qos: 2 })
  return { client, seen }
}

const states = async () => {
  const { seen } = await watch('here', '$SYS/broker/connection/+/state')
  return seen
}

describe.each(['v5', 'v4'])('a link of %s', (name) => {
  it('carries QoS 2 both ways, each message once, in order, and nothing back', async () => {
    const seen = await states()
    await eventually(() => expect(seen).toContain(`$SYS/broker/connection/${name}/state 1`))
    const [here, there] = [await watch('here', `${name}/two/#`), await watch('there', `${name}/two/#`)]
    const numbers = Array.from({ length: 30 }, (_, index) => String(index))
    for (const number of numbers) {
      await here.client.publishAsync(`${name}/two/a`, number, { qos: 2 })
      await there.client.publishAsync(`${name}/two/b`, number, { qos: 2 })
    }
    await eventually(() => expect([here.seen.length, there.seen.length]).toEqual([60, 60]))
    for (const { seen: all } of [here, there])
      for (const topic of [`${name}/two/a`, `${name}/two/b`])
        expect(all.filter((one) => one.startsWith(topic))).toEqual(numbers.map((number) => `${topic} ${number}`))
  })

  it('keeps for Mosquitto what is published while that is away', async () => {
    await stopMosquitto()
    const here = await watch('here', 'nothing')
    await here.client.publishAsync(`${name}/here/late`, 'late', { qos: 1, retain: true })
    await startMosquitto()
    const there = await watch('there', `${name}/from/#`)
    await eventually(() => expect(there.seen).toEqual([`${name}/from/late late`]), 20_000)
  })
})
