// Crowds and floods against a server that runs by itself, so that its memory can be told from that of the attackers.
import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import { connect, type Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { setTimeout as pause } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { eventually } from '../helpers/eventually.ts'
import { frame, openFrames, readFrames } from '../helpers/hostile-frames.ts'
import { heard, isTls, listeners, metric, open, type Target } from '../helpers/hostile-target.ts'
import { startWitnesses, type Witnesses } from '../helpers/hostile-witnesses.ts'
import { connectPacket, pingPacket } from '../helpers/mqtt-bytes.ts'
import { type Server, startServer } from '../helpers/process.ts'
import { createRest, logIn } from '../helpers/rest.ts'
import { domain, loginClient } from '../script/xmpp-client.ts'

const crowd = 2000
const boundMiB = 64
/** What OpenSSL and the allocator keep of two thousand handshakes that did not come about: the same again costs nothing. */
const tlsBoundMiB = 160

let server: Server
let target: Target
let witnesses: Witnesses
beforeAll(async () => {
  server = await startServer({
    env: {
      CLEARBOX_METRICS_PORT: '0',
      CLEARBOX_QUOTA_PER_SECOND: '100000',
      CLEARBOX_QUOTA_BURST: '100000',
      CLEARBOX_HTTP_RATE_PER_ACCOUNT: '1000000',
    },
  })
  const accounts = ['ann', 'ben', 'cat', 'dan', 'eve', 'fay'] as const
  for (const name of accounts) await server.addUser(name)
  target = { ports: server.ports, accounts }
  witnesses = await startWitnesses(target)
})
afterAll(async () => {
  await witnesses.end()
  await server.dispose()
})

async function residentMiB(): Promise<number> {
  const status = await readFile(`/proc/${server.pid}/status`, 'utf8')
  return Number(/VmRSS:\s+(\d+)/.exec(status)?.[1]) / 1024
}

/** The most that the server holds during the attack, above what it held before. */
async function growthDuring(attack: () => Promise<unknown>): Promise<number> {
  const before = await residentMiB()
  let most = before
  let isOver = false
  const watching = (async () => {
    while (!isOver) {
      most = Math.max(most, await residentMiB())
      await pause(50)
    }
  })()
  try {
    await witnesses.during(attack)
  } finally {
    isOver = true
    await watching
  }
  return Math.max(most, await residentMiB()) - before
}

/** Writes as fast as it is taken, until the other side ends it. */
async function pour(socket: Duplex, chunk: Buffer, times: number): Promise<void> {
  const closed = new Promise((resolve) => socket.once('close', resolve))
  for (let i = 0; i < times && !socket.destroyed && socket.writable; i++) {
    if (!socket.write(chunk)) await Promise.race([new Promise((resolve) => socket.once('drain', resolve)), closed])
  }
}

const onlyWitnesses = async () => {
  const { mqtt, xmpp } = witnesses.connections
  expect([await metric(target, 'mqtt_connections'), await metric(target, 'xmpp_connections')]).toEqual([mqtt, xmpp])
}

describe('2,000 connections that never speak', () => {
  it.each(listeners)('on %s cost a bounded memory and others nothing', async (name) => {
    const silent: Socket[] = []
    const growth = await growthDuring(async () => {
      while (silent.length < crowd) {
        const some = Array.from({ length: 200 }, () => connect(target.ports[name], '127.0.0.1'))
        silent.push(...some)
        await Promise.all(
          some.map((socket) =>
            once(
              socket.on('error', () => undefined),
              'connect',
            ),
          ),
        )
      }
      await pause(200)
    })
    for (const socket of silent) socket.destroy()
    await witnesses.during(() => eventually(onlyWitnesses))
    expect(growth).toBeLessThan(isTls(name) ? tlsBoundMiB : boundMiB)
  })
})

describe('eight senders of 256 MB', () => {
  const eight = <T>(make: () => T): T[] => Array.from({ length: 8 }, make)
  const chunk = Buffer.alloc(64 * 1024, 'x')
  const announced = Buffer.of(0xff, 0xff, 0xff, 0x7f)
  const http = (headers: string) => `POST /v1/messages HTTP/1.1\r\nHost: x\r\n${headers}\r\n`

  const attacks: readonly [what: string, open: () => Duplex, first: Buffer | string, chunk: Buffer][] = [
    ['an MQTT packet', () => open(target, 'mqtt'), Buffer.concat([Buffer.of(0x10), announced]), chunk],
    ['an MQTT packet over TLS', () => open(target, 'mqtts'), Buffer.concat([Buffer.of(0x10), announced]), chunk],
    [
      'a WebSocket frame',
      () => openFrames(target, 'http', '/mqtt'),
      frame({ announced: 268_435_456n }).subarray(0, 14),
      chunk,
    ],
    ['an XMPP header', () => open(target, 'xmpp'), `<stream:stream to='`, chunk],
    ['an XMPP header over TLS', () => open(target, 'xmpps'), `<stream:stream to='`, chunk],
    ['an HTTP body', () => open(target, 'http'), http('Content-Length: 268435456\r\n'), chunk],
    [
      'an HTTP body in chunks over TLS',
      () => open(target, 'https'),
      http('Transfer-Encoding: chunked\r\n'),
      Buffer.concat([Buffer.from('10000\r\n'), chunk, Buffer.from('\r\n')]),
    ],
    ['an HTTP header to the metrics', () => open(target, 'metrics'), 'GET / HTTP/1.1\r\nX: ', chunk],
  ]

  it.each(attacks)('%s', async (what, dial, first, bytes) => {
    const growth = await growthDuring(async () => {
      await Promise.all(
        eight(dial).map(async (socket) => {
          const ended = heard(socket)
          socket.write(first)
          await pour(socket, bytes, 512)
          // A body that nobody wants is read and thrown away: its request has had its answer long ago.
          if (what.startsWith('an HTTP body')) socket.destroy()
          await ended
        }),
      )
    })
    expect(growth).toBeLessThan(boundMiB)
    await eventually(onlyWitnesses)
  })
})

describe('many small pieces', () => {
  it('frames of one byte that are to become one packet cost their bytes', async () => {
    const frames = Buffer.concat(Array.from({ length: 50_000 }, () => frame({ payload: 'x' })))
    const growth = await growthDuring(async () => {
      const sockets = Array.from({ length: 8 }, () => openFrames(target, 'http', '/mqtt').resume())
      await Promise.all(
        sockets.map((socket) => {
          socket.write(frame({ payload: Buffer.of(0x10, 0xf0, 0xff, 0x07) }))
          return pour(socket, frames, 2)
        }),
      )
      for (const socket of sockets) socket.destroy()
    })
    expect(growth).toBeLessThan(boundMiB)
    await eventually(onlyWitnesses)
  })
})

describe('strangers whose first message never becomes whole', () => {
  const halves = [
    ['/mqtt', 2, 150, 1024 * 1024],
    ['/xmpp-websocket', 1, 500, 250 * 1024],
  ] as const

  it.each(halves)('on %s wait with as little as over TCP', async (path, opcode, count, bytes) => {
    const half = frame({ opcode, payload: 'x'.repeat(bytes) }).subarray(0, -1)
    const growth = await growthDuring(async () => {
      const sockets = Array.from({ length: count }, () => openFrames(target, 'http', path))
      const ends = sockets.map((socket) => heard(socket, 30_000))
      for (const socket of sockets) socket.write(half)
      const codes = (await Promise.all(ends)).map((said) => readFrames(said).closeCode)
      // Who still speaks when the connection is closed may lose the code.
      for (const code of codes) expect([1009, null]).toContain(code)
    })
    expect(growth).toBeLessThan(boundMiB)
    await eventually(onlyWitnesses)
  })
})

describe('pings of one who is logged in and does not read', () => {
  const pings = Buffer.concat(Array.from({ length: 1000 }, () => frame({ opcode: 9, payload: 'x'.repeat(125) })))
  const token = (name: string) => Buffer.from(`\0${name}\0${name}-pw`).toString('base64')
  const xmppLogin = (name: string) => [
    `<open xmlns='urn:ietf:params:xml:ns:xmpp-framing' to='${domain}' version='1.0'/>`,
    `<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>${token(name)}</auth>`,
  ]
  const logins = {
    '/mqtt': (name: string) => [
      frame({ payload: connectPacket({ username: name, password: `${name}-pw`, clientId: 'pings' }) }),
    ],
    '/xmpp-websocket': (name: string) => xmppLogin(name).map((payload) => frame({ opcode: 1, payload })),
  }
  const welcome = { '/mqtt': /\x20.\0\0/s, '/xmpp-websocket': /<success/ }
  const places = (['http', 'https'] as const).flatMap((name) =>
    (['/mqtt', '/xmpp-websocket'] as const).map((path) => [name, path] as const),
  )

  it.each(places)('end the connection on %s%s', async (name, path) => {
    const [, , , , , account] = target.accounts
    const socket = openFrames(target, name, path)
    let said = ''
    socket.on('data', (bytes: Buffer) => {
      said += bytes.toString('latin1')
    })
    socket.write(Buffer.concat(logins[path](account)))
    await eventually(() => welcome[path].test(said))
    socket.pause()
    const growth = await growthDuring(() => pour(socket, pings, 1000))
    expect(socket.writable).toBe(false)
    expect(growth).toBeLessThan(boundMiB)
  })
})

describe('who asks for much and never reads', () => {
  it('over MQTT, XMPP and HTTP is not read any more or closed, and costs a bounded buffer', async () => {
    const [, , , , name] = target.accounts
    const mqtt = open(target, 'mqtt').pause()
    mqtt.write(connectPacket({ username: name, password: `${name}-pw` }))
    const xmpp = (await loginClient(target.ports.xmpp, name)).socket.pause()
    const https = open(target, 'https').pause()
    const [pings, iqs, requests] = [
      Buffer.alloc(1_000_000, pingPacket),
      Buffer.from(
        `<iq type='get' id='${'i'.repeat(200)}' to='${domain}'><ping xmlns='urn:xmpp:ping'/></iq>`.repeat(1000),
      ),
      Buffer.from('GET /openapi.json HTTP/1.1\r\nHost: x\r\n\r\n'.repeat(1000)),
    ]
    const growth = await growthDuring(async () => {
      for (let i = 0; i < 20; i++) {
        mqtt.write(pings)
        xmpp.write(iqs)
        https.write(requests)
        await pause(50)
      }
      // The kernels hold some megabytes; the rest has not left.
      expect(mqtt.writableLength).toBeGreaterThan(1_000_000)
    })
    for (const socket of [mqtt, xmpp, https]) socket.destroy()
    expect(growth).toBeLessThan(boundMiB)
    await eventually(onlyWitnesses)
  })
})

it('sixty histories that are asked for at once and never read cost a bounded buffer', async () => {
  // The witnesses read what is written to them.
  const [name, peer] = ['gus', 'hal'] as const
  await server.addUser(name)
  await server.addUser(peer)
  const asked = await logIn(server.http, { name, password: `${name}-pw` })
  const text = 'x'.repeat(60_000)
  await Promise.all(Array.from({ length: 100 }, () => asked.post('/v1/messages', { to: peer, text })))
  const { json } = await createRest(server.http).post('/v1/auth/login', { username: name, password: `${name}-pw` })
  const request = `GET /v1/history?with=${peer}&limit=200 HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${json.accessToken}\r\n\r\n`
  const sockets = [open(target, 'http').pause(), open(target, 'http').pause()]
  const growth = await growthDuring(async () => {
    for (const socket of sockets) socket.write(request.repeat(60))
    await pause(2000)
  })
  for (const socket of sockets) socket.destroy()
  expect(growth).toBeLessThan(boundMiB)
})

it('the server has said nothing of all this but what it says of logins, and lives', () => {
  const lines = server
    .output()
    .split('\n')
    .filter((line) => /"level":(40|50|60)|Warning|Error/.test(line))
  expect(lines).toEqual([])
})
