// Wills with delay, as mosquitto_sub and mosquitto_pub ask for them.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { passwordOf, type Server, startServer } from '../helpers/process.ts'
import { subscribe } from './mosquitto.ts'

let server: Server
beforeAll(async () => {
  server = await startServer()
  for (const name of ['alice', 'bob']) await server.addUser(name)
})
afterAll(() => server.dispose())

/** `mosquitto_sub` of Alice that is killed once it is connected. */
async function die(clientId: string, options: readonly string[]): Promise<void> {
  const reach = ['-h', '127.0.0.1', '-p', String(server.ports.mqtt), '-u', 'alice', '-P', passwordOf('alice')]
  const will = ['--will-topic', 'wills', '--will-payload', clientId, '--will-qos', '1', ...options]
  const args = ['-oL', 'mosquitto_sub', '-V', '5', '-d', '-i', clientId, '-t', 'x', ...reach, ...will]
  const child = spawn('stdbuf', args, { stdio: ['ignore', 'pipe', 'inherit'] })
  let said = ''
  for await (const chunk of child.stdout) {
    said += String(chunk)
    if (said.includes('Subscribed')) break
  }
  child.kill('SIGKILL')
  await once(child, 'close')
}

it('a killed mosquitto_sub speaks its last words after will-delay-interval, or when its session ends before', async () => {
  const watcher = await subscribe(server, 'bob', ['wills'])
  const lasting = ['-D', 'CONNECT', 'session-expiry-interval', '600']
  await die('late', ['-D', 'WILL', 'will-delay-interval', '2', ...lasting])
  await die('never', ['-D', 'WILL', 'will-delay-interval', '600', ...lasting])
  await die('ended', ['-D', 'WILL', 'will-delay-interval', '600'])
  expect(await watcher.until(({ text }) => text === 'late')).toMatchObject({ topic: 'wills' })
  expect(watcher.shown.map(({ text }) => text)).toEqual(['ended', 'late'])
  await watcher.stop()
})
