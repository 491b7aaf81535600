// Where the listeners are, and what a network finds there.
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { networkInterfaces } from 'node:os'
import { text } from 'node:stream/consumers'
import { connect as connectTls } from 'node:tls'
import { connectAsync } from 'mqtt'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { warningOf } from '../../broker/clear-text.ts'
import { defaultLimits } from '../../broker/limits.ts'
import { startTestBroker, type TestBroker } from '../helpers/broker.ts'
import { eventually } from '../helpers/eventually.ts'

const names = ['mqtt', 'mqtts', 'xmpp', 'xmpps', 'http', 'https'] as const
const hasIpv6 = Object.values(networkInterfaces()).some((all) => all?.some(({ address }) => address === '::1'))
const addresses = hasIpv6 ? ['127.0.0.1', '127.0.0.2', '::1'] : ['127.0.0.1', '127.0.0.2']
const limits = { ...defaultLimits, loginMs: 4000, connections: 500 }

let broker: TestBroker
beforeAll(async () => {
  broker = await startTestBroker({ env: { CLEARBOX_BIND: addresses.join(','), CLEARBOX_METRICS_PORT: '0' }, limits })
})
afterAll(() => broker.stop())

const portOf = (name: string, address = '127.0.0.1') =>
  broker.listening.find((listening) => listening.name === name && listening.bind === address)?.port ?? 0

describe('addresses', () => {
  it('each have every listener, IPv6 as well', async () => {
    for (const address of addresses) {
      for (const name of names) {
        const socket = connect(portOf(name, address), address)
        await once(socket, 'connect')
        socket.destroy()
      }
    }
  })

  it('that other machines can reach are warned of where passwords travel in clear text', () => {
    const at = (name: string, bind: string, port: number | null = 1) => ({ name, bind, port })
    expect(warningOf([at('mqtt', '127.0.0.1'), at('http', '::1'), at('xmpp', '0.0.0.0'), at('mqtts', '::')])).toBeNull()
    expect(warningOf([at('mqtt', '0.0.0.0', null), at('https', '0.0.0.0')])).toBeNull()
    expect(warningOf([at('mqtt', '::1'), at('mqtt', '10.0.0.7', 1883), at('http', '::', 8080)])).toMatch(
      /in clear text: mqtt on 10\.0\.0\.7 port 1883, http on :: port 8080;/,
    )
  })
})

describe('metrics on a port of their own', () => {
  it('are there alone, and nowhere else', async () => {
    const base = `http://127.0.0.1:${portOf('metrics')}`
    expect(await (await fetch(`${base}/metrics`)).text()).toContain('clearbox_mqtt_connections')
    expect((await fetch(`${base}/health`)).status).toBe(404)
    expect((await fetch(`${broker.http}/metrics`)).status).toBe(404)
  })
})

describe('hostile input', () => {
  const tlsNames = names.filter((name) => name.endsWith('s'))

  /** Resolves when the other side has closed; what it said. */
  async function ended(socket: Socket): Promise<Buffer> {
    const said: Buffer[] = []
    socket.on('data', (bytes) => said.push(bytes))
    socket.on('error', () => undefined)
    // An error comes before it, and is no matter.
    if (!socket.closed) await new Promise((resolve) => socket.once('close', resolve))
    return Buffer.concat(said)
  }

  it.each(tlsNames)('what is no TLS is closed on %s', async (name) => {
    const garbage = [
      Buffer.alloc(100_000, 0x5a),
      Buffer.from('GET / HTTP/1.1\r\n\r\n'),
      Buffer.of(22, 3, 1, 0xff, 0xff, 1),
    ]
    for (const [index, bytes] of garbage.entries()) {
      const socket = connect(portOf(name), '127.0.0.1')
      socket.write(bytes)
      if (index === 2) socket.end()
      expect((await ended(socket)).length).toBeLessThan(100)
    }
  })

  it('a client that offers XMPP’s TLS another protocol is refused (XEP-0368)', async () => {
    const options = { host: '127.0.0.1', port: portOf('xmpps'), rejectUnauthorized: false }
    const wrong = connectTls({ ...options, ALPNProtocols: ['http/1.1'] })
    const [fault] = (await once(wrong, 'error')) as [NodeJS.ErrnoException]
    expect(fault.code).toBe('ERR_SSL_TLSV1_ALERT_NO_APPLICATION_PROTOCOL')
    const right = connectTls({ ...options, ALPNProtocols: ['xmpp-client'] })
    await once(right, 'secureConnect')
    expect(right.alpnProtocol).toBe('xmpp-client')
    right.destroy()
  })

  it.each(['mqtts', 'xmpps'] as const)('who is silent behind the handshake of %s is closed', async (name) => {
    const socket = connectTls({ host: '127.0.0.1', port: portOf(name), rejectUnauthorized: false })
    const said = await ended(socket)
    expect(said.toString()).toMatch(name === 'xmpps' ? /connection-timeout/ : /^$/)
  })

  it.each(names)('random bytes on %s cost the connection, and others nothing', async (name) => {
    const isTls = name.endsWith('s')
    const options = { host: '127.0.0.1', port: portOf(name), rejectUnauthorized: false }
    const bytes = Buffer.from(Array.from({ length: 5000 }, (_, at) => (at * 7919 + 13) % 251))
    for (let cut = 1; cut < 5000; cut += 617) {
      const socket = isTls ? connectTls(options) : connect(options)
      socket.on('error', () => undefined)
      socket.write(bytes.subarray(cut))
      await ended(socket)
    }
    expect((await fetch(`${broker.http}/health`)).status).toBe(200)
  })

  it('more connections than the limit are closed at once; who is logged in notices nothing', async () => {
    const { name: username, password } = await broker.account('witness')
    const witness = await connectAsync(`mqtt://127.0.0.1:${portOf('mqtt')}`, { username, password, reconnectPeriod: 0 })
    let closes = 0
    const silent = Array.from({ length: 700 }, () => connect(portOf('mqtt'), '127.0.0.1'))
    for (const socket of silent) socket.on('error', () => undefined).on('close', () => closes++)
    await eventually(() => closes >= 200)
    await witness.publishAsync('still/here', 'x', { qos: 1 })
    // The rest when the time to log in is over.
    await eventually(() => closes === silent.length)
    expect(witness.connected).toBe(true)
    await witness.endAsync()
  })
})

describe('an upgrade that is none to WebSocket (RFC 9110 §7.8)', () => {
  it('is ignored: the request is answered, body and all, and the connection lives on', async () => {
    const body = JSON.stringify({ username: 'nobody', password: 'x' })
    const ask = (path: string, more: string, content = '') =>
      `${content === '' ? 'GET' : 'POST'} ${path} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n` +
      `Content-Length: ${content.length}\r\n${more}\r\n${content}`
    const upgrade = 'Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n'
    const socket = connect(portOf('http'), '127.0.0.1')
    socket.write(ask('/v1/auth/login', upgrade, body))
    socket.write(ask('/health', 'Connection: close\r\n'))
    const answers = (await text(socket)).match(/HTTP\/1\.1 \d+/g)
    expect(answers).toEqual(['HTTP/1.1 401', 'HTTP/1.1 200'])
  })
})
