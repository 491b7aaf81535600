// The setting `listeners`: ports, Unix sockets, proxies.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { mkdtemp, rm, stat, writeFile } from 'node:fs/promises'
import { connect, createServer, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { connect as connectTls } from 'node:tls'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { defaultLimits } from '../../broker/limits.ts'
import { makeSelfSigned } from '../../broker/self-signed.ts'
import { listenAtPath } from '../../broker/unix-socket.ts'
import { toBanner } from '../../cli/banner.ts'
import { startTestBroker, type TestBroker } from '../helpers/broker.ts'
import { eventually } from '../helpers/eventually.ts'
import { connectPacket } from '../helpers/mqtt-bytes.ts'

const certificateName = 'listener.example.org'
let broker: TestBroker
let folder: string
let path: string
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'clearbox-listeners-'))
  path = join(folder, 'mqtt.sock')
  const files = { cert: join(folder, 'cert.pem'), key: join(folder, 'key.pem') }
  const day = 86_400_000
  const lasting = { notBefore: new Date(Date.now() - day), notAfter: new Date(Date.now() + day) }
  const pem = makeSelfSigned({ names: [certificateName], ...lasting })
  await writeFile(files.cert, pem.cert)
  await writeFile(files.key, pem.key)
  await leaveSocket(path)
  const mqtt = (name: string, more: object) => ({ name, protocol: 'mqtt', ...more })
  const proxyProtocol = { from: ['127.0.0.1'] }
  const listeners = [
    mqtt('open', { port: 0, bind: '127.0.0.2', anonymous: 'on', maxConnections: 3 }),
    mqtt('own-tls', { port: 0, tls: files }),
    mqtt('unix', { path, mode: '600' }),
    mqtt('proxied', { port: 0, proxyProtocol, bind: ['127.0.0.1', '127.0.0.2'] }),
    mqtt('proxied-tls', { port: 0, proxyProtocol, tls: {} }),
  ]
  const env = {
    CLEARBOX_LISTENERS: JSON.stringify(listeners),
    CLEARBOX_LOGIN_TRIES: '2',
    CLEARBOX_LOGIN_ADDRESS_TRIES: '4',
  }
  broker = await startTestBroker({ env, limits: { ...defaultLimits, loginMs: 1500 } })
})
afterAll(async () => {
  await broker.stop()
  const isLeft = existsSync(path)
  await rm(folder, { recursive: true })
  expect(isLeft, 'the socket is gone').toBe(false)
})

/** A socket that nobody serves any more, as `kill -9` leaves it. */
async function leaveSocket(at: string): Promise<void> {
  const code = `require('net').createServer().listen(${JSON.stringify(at)}, () => process.kill(process.pid, 'SIGKILL'))`
  await once(spawn(process.execPath, ['-e', code]), 'exit')
  expect((await stat(at)).isSocket()).toBe(true)
}

const placeOf = (note: string, bind = '127.0.0.1') => {
  const found = broker.listening.find((each) => each.note === note && each.bind === bind)
  return { host: bind, port: found?.port ?? 0 }
}

/** What comes first; null: the end. */
async function firstBytes(socket: Socket): Promise<Buffer | null> {
  socket.on('error', () => undefined)
  return new Promise((resolve) => {
    socket.once('data', resolve).once('close', () => resolve(null))
  })
}

type Login = Readonly<{ name: string; password: string }> | null
const connectBytes = (login: Login) =>
  connectPacket({ level: 4, ...(login && { username: login.name, password: login.password }) })

/** The return code of CONNACK; null: closed without one. */
async function logIn(socket: Socket, login: Login, before = ''): Promise<number | null> {
  socket.write(Buffer.concat([Buffer.from(before, 'latin1'), connectBytes(login)]))
  const answer = await firstBytes(socket)
  socket.destroy()
  return answer && (answer[3] ?? null)
}

const proxyLine = (source: string) => `PROXY TCP4 ${source} 10.0.0.1 1234 1883\r\n`

async function metric(name: string): Promise<number> {
  const text = await (await fetch(`${broker.http}/metrics`)).text()
  return Number(new RegExp(`^${name} (\\d+)$`, 'm').exec(text)?.[1])
}

/** Who failed from where, by the audit trail. */
async function isTold(address: string): Promise<boolean> {
  const rows = await broker.store.audit.read({ before: null, limit: 500, action: null, name: null })
  return rows.some((row) => row.address === address)
}

describe('listeners', () => {
  it('let in whom each of them lets in', async () => {
    const bob = await broker.account('bob')
    const open = placeOf('open', '127.0.0.2')
    expect(await logIn(connect(open), null)).toBe(0)
    expect(await logIn(connect(open), bob)).toBe(0)
    expect(await logIn(connect(broker.mqttPort, '127.0.0.1'), null)).toBe(5)
    expect(await logIn(connect(path), null)).toBe(5)
  })

  it('have limits of their own', async () => {
    const open = placeOf('open', '127.0.0.2')
    const sockets = Array.from({ length: 4 }, () => connect(open).on('error', () => undefined))
    let closed = 0
    for (const socket of sockets) socket.on('close', () => closed++)
    await eventually(() => closed === 1)
    for (const socket of sockets) socket.destroy()
  })

  it('show a certificate of their own', async () => {
    const socket = connectTls({ ...placeOf('own-tls'), rejectUnauthorized: false })
    await once(socket, 'secureConnect')
    expect(socket.getPeerCertificate().subjectaltname).toContain(certificateName)
    socket.destroy()
  })

  it('are told as what they are', () => {
    const told = broker.listening.filter(({ note }) => note !== undefined)
    const names = told.map(({ name, note }) => `${name} ${note}`)
    expect(names).toEqual(
      expect.arrayContaining(['mqtt open', 'mqtts own-tls', 'mqtt unix', 'mqtt proxied', 'mqtts proxied-tls']),
    )
    const banner = toBanner({ version: '1', domain: 'x', listening: told, adminPassword: null, configFile: null })
    expect(banner).toContain(`MQTT   ${path} (unix)`)
  })
})

describe('a Unix socket', () => {
  it('takes the place of what a killed broker has left, with its mode', async () => {
    expect((await stat(path)).mode & 0o777).toBe(0o600)
    expect(await logIn(connect(path), await broker.account('bob'))).toBe(0)
  })

  it('is not taken from another program, nor a file', async () => {
    const server = createServer()
    const options = { mode: 0o600, backlog: 1 }
    await expect(listenAtPath(server, { path, ...options })).rejects.toThrow('another program listens there already')
    const file = join(folder, 'file')
    await writeFile(file, 'mine')
    await expect(listenAtPath(server, { path: file, ...options })).rejects.toThrow('a file that is no socket')
    const nowhere = join(folder, 'none', 'x')
    await expect(listenAtPath(server, { path: nowhere, ...options })).rejects.toThrow(`cannot listen at ${nowhere}`)
    expect(existsSync(file)).toBe(true)
  })

  it('who guesses there must wait for that account, and the others do not', async () => {
    const [guessed, other] = [await broker.account('bob'), await broker.account('alice')]
    for (let index = 0; index < 6; index++) await logIn(connect(path), { ...guessed, password: 'wrong' })
    expect(await logIn(connect(path), guessed)).not.toBe(0)
    expect(await logIn(connect(path), other)).toBe(0)
    await eventually(() => isTold('unix'))
  })
})

describe.each(['proxied', 'proxied-tls'] as const)('the PROXY protocol on %s', (listener) => {
  const isTls = listener === 'proxied-tls'

  /** With header and what follows in one piece, or the header alone first. */
  async function arrive(header: string, login: Login): Promise<number | null> {
    const raw = connect(placeOf(listener))
    if (!isTls) return logIn(raw, login, header)
    raw.on('error', () => undefined)
    raw.write(header, 'latin1')
    const socket = connectTls({ socket: raw, rejectUnauthorized: false })
    return logIn(socket, login)
  }

  it('counts the announced address for waits after failed logins, and writes it down', async () => {
    const { name } = await broker.account('bob')
    const good = { name, password: `${name}-pw` }
    const mine = isTls ? '192.0.2.2' : '192.0.2.1'
    for (let index = 0; index < 2; index++) await arrive(proxyLine(mine), { name, password: 'wrong' })
    expect(await arrive(proxyLine(mine), good)).not.toBe(0)
    expect(await arrive(proxyLine('192.0.2.9'), good)).toBe(0)
    expect(await arrive('PROXY UNKNOWN\r\n', good)).toBe(0)
    await eventually(() => isTold(mine))
  })

  it('reads a header of version 2', async () => {
    const bytes = Buffer.from([0x21, 0x11, 0, 12, 192, 0, 2, 3, 10, 0, 0, 1, 1, 1, 2, 2]).toString('latin1')
    expect(await arrive(`\r\n\r\n\0\r\nQUIT\n${bytes}`, await broker.account('bob'))).toBe(0)
  })

  it('closes and counts who should send a header and does not, or not in time', async () => {
    const before = await metric('clearbox_proxy_faults_total')
    expect(await arrive('', await broker.account('bob'))).toBeNull()
    const slow = connect(placeOf(listener))
    slow.write('PROXY TCP4 ')
    expect(await firstBytes(slow)).toBeNull()
    expect(await metric('clearbox_proxy_faults_total')).toBe(before + 2)
  })
})

it('a peer that is no proxy speaks for itself: a header of its own is no MQTT', async () => {
  const account = await broker.account('bob')
  const from = { ...placeOf('proxied', '127.0.0.2'), localAddress: '127.0.0.3' }
  expect(await logIn(connect(from), account)).toBe(0)
  expect(await logIn(connect(from), account, proxyLine('192.0.2.50'))).toBeNull()
})
