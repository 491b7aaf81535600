// psql, on the socket of the embedded database.
import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { readClaim } from '../../storage/embedded/postmaster.ts'
import { passwordOf, type Server, startServer } from '../helpers/process.ts'
import { curl, publish } from './mosquitto.ts'

const run = promisify(execFile)

let server: Server
beforeAll(async () => {
  server = await startServer()
  for (const name of ['alice', 'bob']) await server.addUser(name)
})
afterAll(() => server.dispose())

async function psql(query: string): Promise<readonly string[]> {
  const claim = await readClaim(join(server.dataDir, 'postgres'))
  const socket = claim?.socketFolder ?? ''
  const { stdout } = await run('psql', ['-h', socket, '-U', 'clearbox', '-At', '-c', query, 'clearbox'])
  return stdout.trim().split('\n')
}

it('shows messages as people can read them', async () => {
  await publish(server, 'alice', 'u/bob/in', 'hi bob')
  const token = (await curl(`${server.http}/v1/auth/login`, null, { username: 'bob', password: passwordOf('bob') }))
    .accessToken
  const { id } = await curl(`${server.http}/v1/messages`, String(token), { to: 'alice', text: 'grüß dich' })
  const rows = await psql(`
    SELECT s.name, r.name, m.text FROM messages m
    JOIN accounts s ON s.id = m.sender JOIN accounts r ON r.id = m.receiver ORDER BY m.ts`)
  expect(rows).toEqual(['alice|bob|hi bob', 'bob|alice|grüß dich'])
  expect(await psql(`SELECT count(*) FROM archive WHERE message = '${id}'`)).toEqual(['2'])
})

it('finds a durable database that listens on no network', async () => {
  expect(await psql('SHOW fsync')).toEqual(['on'])
  expect(await psql('SHOW synchronous_commit')).toEqual(['on'])
  expect(await psql('SHOW listen_addresses')).toEqual([''])
})

it('finds no password', async () => {
  const [stored = ''] = await psql(`SELECT scram_sha_256 FROM accounts WHERE name = 'alice'`)
  expect(stored).not.toContain(passwordOf('alice'))
})
