// QoS 2 as mosquitto_pub and mosquitto_sub speak it, also at a Unix socket.
import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { passwordOf, type Server, startServer } from '../helpers/process.ts'
import { type ScratchFolder, scratchFolder } from '../helpers/store.ts'
import { publish, subscribe } from './mosquitto.ts'

let server: Server
let folder: ScratchFolder
let path: string
beforeAll(async () => {
  folder = await scratchFolder()
  path = join(folder.path, 'mqtt.sock')
  const listeners = JSON.stringify([{ name: 'local', protocol: 'mqtt', path }])
  server = await startServer({ env: { CLEARBOX_LISTENERS: listeners } })
  for (const name of ['alice', 'bob']) await server.addUser(name)
})
afterAll(async () => {
  await server.dispose()
  await folder.remove()
})

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

it('mosquitto_pub --unix: what it sends at the socket arrives at the port', async () => {
  const online = await subscribe(server, 'bob', ['two/unix'], ['-C', '1'])
  const login = ['-u', 'alice', '-P', passwordOf('alice')]
  await promisify(execFile)('mosquitto_pub', ['--unix', path, ...login, '-q', '2', '-t', 'two/unix', '-m', 'local'])
  await online.exited
  expect(online.shown).toEqual([{ topic: 'two/unix', text: 'local' }])
})
