// TLS that goes wrong, on every listener that speaks it from the first byte, and behind <starttls/>.
import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import { connect, createServer, type Socket } from 'node:net'
import { connect as connectTls, type TLSSocket } from 'node:tls'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { defaultLimits } from '../../broker/limits.ts'
import { startTestBroker, type TestBroker } from '../helpers/broker.ts'
import { eventually } from '../helpers/eventually.ts'
import { heard, open, type Target, targetOf, tlsListeners } from '../helpers/hostile-target.ts'
import { startWitnesses, type Witnesses } from '../helpers/hostile-witnesses.ts'
import { connectClient } from '../script/xmpp-client.ts'

let broker: TestBroker
let target: Target
let witnesses: Witnesses
let hello: Buffer
beforeAll(async () => {
  broker = await startTestBroker({ env: { CLEARBOX_METRICS_PORT: '0' }, limits: { ...defaultLimits, loginMs: 2000 } })
  target = await targetOf(broker)
  witnesses = await startWitnesses(target)
  hello = await clientHello()
})
afterAll(async () => {
  await witnesses.end()
  await broker.stop()
})

/** The first bytes of a client of TLS. */
async function clientHello(): Promise<Buffer> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  const client = connectTls({ port: typeof address === 'object' ? (address?.port ?? 0) : 0, host: '127.0.0.1' })
  client.on('error', () => undefined)
  const [socket] = (await once(server, 'connection')) as [Socket]
  const [bytes] = (await once(socket, 'data')) as [Buffer]
  client.destroy()
  socket.destroy()
  server.close()
  return bytes
}

const plain = (name: (typeof tlsListeners)[number]) =>
  connect({ port: target.ports[name], host: '127.0.0.1', noDelay: true }).on('error', () => undefined)

/** Connections that this process holds open on a port of the broker, which runs in it. */
async function held(port: number): Promise<number> {
  const listenState = '0A'
  const timeWait = '06'
  const wanted = port.toString(16).toUpperCase().padStart(4, '0')
  const rows = (await readFile('/proc/self/net/tcp', 'utf8')).split('\n').map((row) => row.trim().split(/\s+/))
  return rows.filter(
    ([, local, , state]) => local?.endsWith(`:${wanted}`) && state !== listenState && state !== timeWait,
  ).length
}

describe.each(tlsListeners)('on %s', (name) => {
  it('who goes in the middle of the handshake is forgotten at once', async () => {
    await eventually(async () => (await held(target.ports[name])) === 0)
    await witnesses.during(async () => {
      const clients = Array.from({ length: 50 }, () => plain(name))
      for (const [at, client] of clients.entries()) {
        if (at % 2 === 0) client.write(hello.subarray(0, at * 4))
        client.end()
      }
      await eventually(async () => (await held(target.ports[name])) === 0, 2000)
    })
  })

  it('bytes that no key has made end the connection with an alert', async () => {
    const socket = plain(name)
    const client = connectTls({ socket, rejectUnauthorized: false }).on('error', () => undefined)
    await once(client, 'secureConnect')
    socket.write(Buffer.concat([Buffer.of(23, 3, 3, 0, 64), Buffer.alloc(64, 0x5a)]))
    await witnesses.during(() => heard(client))
  })

  it('a client that renegotiates again and again is closed', async () => {
    const client = open(target, name, { maxVersion: 'TLSv1.2' }) as TLSSocket
    await once(client, 'secureConnect')
    let rounds = 0
    const again = () => {
      client.renegotiate({ rejectUnauthorized: false }, (fault) => {
        rounds++
        if (fault === null) again()
      })
    }
    again()
    await witnesses.during(() => heard(client))
    expect(rounds).toBeLessThan(20)
  })

  it('TLS 1.1 is refused', async () => {
    const client = open(target, name, { minVersion: 'TLSv1', maxVersion: 'TLSv1.1', ciphers: 'ALL@SECLEVEL=0' })
    const [fault] = (await once(client, 'error')) as [NodeJS.ErrnoException]
    expect(fault.code).toMatch(/PROTOCOL_VERSION/)
  })
})

it('who stops in the middle of the handshake has the time of a login', async () => {
  const stopped = tlsListeners.flatMap((name) =>
    [hello, hello.subarray(0, 100), hello.subarray(0, 3), Buffer.alloc(0)].map((bytes) => {
      const socket = plain(name)
      socket.write(bytes)
      return heard(socket)
    }),
  )
  await witnesses.during(() => Promise.all(stopped))
})

describe('behind <starttls/>', () => {
  async function proceeded(): Promise<Socket> {
    const client = await connectClient(target.ports.xmpp)
    client.openStream()
    await client.until('features')
    client.write(`<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>`)
    await client.until('proceed')
    return client.socket
  }

  it('garbage, half a handshake and a client that goes end the connection', async () => {
    const before = await held(target.ports.xmpp)
    const sockets = await Promise.all(Array.from({ length: 4 }, proceeded))
    const [garbage, half, silent, gone] = sockets
    garbage?.write(Buffer.alloc(5000, 0x5a))
    half?.write(hello.subarray(0, 100))
    silent?.write(hello.subarray(0, 0))
    gone?.write(hello.subarray(0, 100))
    gone?.end()
    await witnesses.during(() => Promise.all(sockets.map((socket) => heard(socket))))
    await eventually(async () => (await held(target.ports.xmpp)) === before)
  })
})
