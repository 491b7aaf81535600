// `user list` and `user delete`, beside a server that runs.
import { join } from 'node:path'
import { Client } from 'pg'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { clientConfig } from '../../storage/embedded/attach.ts'
import { readClaim } from '../../storage/embedded/postmaster.ts'
import { connectMqtt, login, post } from '../helpers/load.ts'
import { passwordOf, runCli, type Server, startServer } from '../helpers/process.ts'
import { loginClient } from '../script/xmpp-client.ts'

let server: Server
beforeAll(async () => {
  server = await startServer()
  for (const name of ['alice', 'bob', 'carol']) await server.addUser(name)
})
afterAll(() => server.dispose())

const cli = (...args: readonly string[]) => runCli(args, { dataDir: server.dataDir })
const message = (text: string) => ({ text, isAcknowledged: false, id: null })

async function history(token: string, peer: string): Promise<readonly unknown[]> {
  const headers = { authorization: `Bearer ${token}` }
  const response = await fetch(`${server.http}/v1/history?with=${peer}`, { headers })
  return ((await response.json()) as { items: readonly unknown[] }).items
}

it('lists accounts by name, for people and as JSON', async () => {
  expect((await cli('user', 'list')).output).toMatch(
    /^admin@localhost +admin .*\nalice@localhost +user .*\nbob@localhost/,
  )
  const listed = JSON.parse((await cli('user', 'list', '--json')).output) as readonly { address: string }[]
  expect(listed.map(({ address }) => address)).toEqual(
    ['admin', 'alice', 'bob', 'carol'].map((name) => `${name}@localhost`),
  )
  expect(listed[0]).toMatchObject({ name: 'admin', role: 'admin', plainTopics: 'all' })
})

it('asks before it deletes: without a terminal it wants --yes', async () => {
  const ended = await cli('user', 'delete', 'bob')
  expect(ended.code).toBe(2)
  expect(ended.output).toContain('say --yes')
  expect((await cli('user', 'delete', 'nobody', '--yes')).output).toContain('There is no account nobody@localhost.')
})

it('keeps the last administrator', async () => {
  expect(await cli('user', 'delete', 'admin', '--yes')).toMatchObject({
    code: 1,
    output: expect.stringContaining('admin@localhost is the only administrator.'),
  })
  expect((await cli('user', 'list')).output).toContain('admin@localhost')
})

it('a deleted account is cut off within a second, cannot log in, and stays readable where others have it', async () => {
  const [alice, bob] = [await login(server, 'alice'), await login(server, 'bob')]
  expect(await post(server, alice, 'bob', message('remember me'))).toBe(true)
  const mqtt = await connectMqtt(server, 'alice', { clientId: 'phone', clean: false })
  await mqtt.subscribeAsync('deleted/#', { qos: 1 })
  const xmpp = await loginClient(server.ports.xmpp, 'alice')
  const closed = new Promise<void>((resolve) => mqtt.once('close', () => resolve()))
  expect((await cli('user', 'delete', 'alice', '--yes')).output).toContain('Deleted the account alice@localhost')
  const deletedAt = performance.now()
  await closed
  await xmpp.streamError()
  expect(performance.now() - deletedAt).toBeLessThan(1_500)

  await expect(connectMqtt(server, 'alice', { clientId: 'phone', clean: false })).rejects.toThrow()
  await expect(login(server, 'alice')).rejects.toThrow('401')
  expect(
    (await fetch(`${server.http}/v1/history?with=bob`, { headers: { authorization: `Bearer ${alice}` } })).status,
  ).toBe(401)

  expect(await history(bob, 'alice')).toMatchObject([{ from: 'alice@localhost', text: 'remember me' }])
  // Reading it does not bring the receiver back.
  expect(await post(server, bob, 'alice', message('are you there?'))).toBe(false)
  expect(await post(server, bob, 'carol', message('alice is gone'))).toBe(true)

  const again = await runCli(
    ['user', 'add', 'alice', '--password-stdin'],
    { dataDir: server.dataDir },
    passwordOf('alice'),
  )
  expect(again.output).toContain('the name of a deleted account is not given out again')
  expect((await cli('user', 'list')).output).not.toContain('alice')
})

it('what is published to the sessions of a deleted account waits for nobody', async () => {
  const publisher = await connectMqtt(server, 'bob', { clientId: 'publisher', clean: true })
  await publisher.publishAsync('deleted/topic', 'x', { qos: 1 })
  await publisher.endAsync()
  const socket = (await readClaim(join(server.dataDir, 'postgres')))?.socketFolder ?? ''
  const database = new Client(clientConfig(socket))
  await database.connect()
  const { rows } = await database.query('SELECT FROM queue_bodies UNION ALL SELECT FROM queue_references')
  await database.end()
  expect(rows).toEqual([])
})
