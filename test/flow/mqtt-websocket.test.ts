// MQTT 5 §6: MQTT over WebSocket.
import { connect, connectAsync } from 'mqtt'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { defaultLimits } from '../../broker/limits.ts'
import { startTestBroker, type TestBroker } from '../helpers/broker.ts'
import { connectPacket, publishPacket, subscribePacket } from '../helpers/mqtt-bytes.ts'
import { openWebSocket, refusalOf } from '../helpers/raw-websocket.ts'

const limits = { ...defaultLimits, loginMs: 3000 }

let broker: TestBroker
beforeAll(async () => {
  broker = await startTestBroker({ limits })
})
afterAll(() => broker.stop())

const ws = () => `ws://127.0.0.1:${broker.httpPort}/mqtt`
const wss = () => `wss://127.0.0.1:${broker.httpsPort}/mqtt`

/** CONNECT as MQTT 5, with a clean session. */
async function login(prefix: string): Promise<Buffer> {
  const { name, password } = await broker.account(prefix)
  return connectPacket({ level: 5, clientId: name, username: name, password })
}

const isConnack = (bytes: Buffer) => bytes.length > 3 && bytes[0] === 0x20 && bytes[3] === 0

describe('MQTT.js', () => {
  it.each(['ws', 'wss'] as const)('publishes and receives over %s, up to the largest packet', async (kind) => {
    const url = kind === 'ws' ? ws() : wss()
    const { name: username, password } = await broker.account('alice')
    const client = await connectAsync(url, { username, password, protocolVersion: 5, rejectUnauthorized: false })
    const received: Buffer[] = []
    client.on('message', (_topic, payload) => received.push(payload))
    await client.subscribeAsync(`ws/${username}`, { qos: 1 })
    const large = Buffer.alloc(1_000_000, 'x')
    await client.publishAsync(`ws/${username}`, 'small', { qos: 1 })
    await client.publishAsync(`ws/${username}`, large, { qos: 1 })
    await expect.poll(() => received.length).toBe(2)
    expect(received.map((payload) => payload.length)).toEqual([5, large.length])
    await client.endAsync()
  })

  it('talks from wss to TCP', async () => {
    const [alice, bob] = [await broker.account('alice'), await broker.account('bob')]
    const sender = await connectAsync(wss(), {
      username: alice.name,
      password: alice.password,
      rejectUnauthorized: false,
    })
    const tcp = `mqtt://127.0.0.1:${broker.mqttPort}`
    const receiver = await connectAsync(tcp, { username: bob.name, password: bob.password })
    const texts: string[] = []
    receiver.on('message', (_topic, payload) => texts.push(payload.toString()))
    await receiver.subscribeAsync(`u/${bob.name}/text`, { qos: 1 })
    await sender.publishAsync(`u/${bob.name}/in`, 'hi', { qos: 1 })
    await expect.poll(() => texts).toEqual([`${alice.name}: hi`])
    await Promise.all([sender.endAsync(), receiver.endAsync()])
  })
})

it.each(['ws', 'wss'] as const)(
  'over %s a client need not wait for its CONNACK: large packets may follow (§3.1.4)',
  async (kind) => {
    const raw = await openWebSocket(kind === 'ws' ? ws() : wss(), 'mqtt')
    const large = (packetId: number) =>
      publishPacket(5, { topic: 'ws/large', payload: Buffer.alloc(900_000), qos: 1, packetId })
    for (const packet of [await login('eager'), large(0x6161), large(0x6262)]) raw.socket.send(packet)
    // Their packet ids, as letters.
    await raw.until(() => ['aa', 'bb'].every((id) => raw.bytes().includes(id)))
    expect(isConnack(raw.bytes())).toBe(true)
    raw.socket.close()
  },
)

it('a CONNECT that would be too large is refused before it has come (RFC 6455 §7.4.1)', async () => {
  const raw = await openWebSocket(ws(), 'mqtt')
  raw.socket.send(
    connectPacket({ username: 'x'.repeat(60_000), password: 'x'.repeat(60_000), clientId: 'x'.repeat(60_000) }),
  )
  expect([1006, 1009]).toContain(await raw.closed)
})

describe.each([4, 5] as const)('a persistent session over wss at level %i', (level) => {
  it('gets what came for it while it was away: a plain topic and the chat, each once and in order', async () => {
    const { name, password } = await broker.account('away')
    const options = {
      username: name,
      password,
      clientId: `${name}-page`,
      clean: false,
      protocolVersion: level,
      rejectUnauthorized: false,
      ...(level === 5 && { properties: { sessionExpiryInterval: 600 } }),
    }
    const topic = `ws/away/${name}`
    const first = await connectAsync(wss(), options)
    await first.subscribeAsync([topic, `u/${name}/text`], { qos: 1 })
    await first.endAsync()

    const { name: username, password: pass } = await broker.account('sensor')
    const sender = await connectAsync(ws(), { username, password: pass })
    for (const text of ['one', 'two']) {
      await sender.publishAsync(topic, text, { qos: 1 })
      await sender.publishAsync(`u/${name}/in`, text, { qos: 1 })
    }
    const second = connect(wss(), options)
    const texts: string[] = []
    second.on('message', (of, payload) => texts.push(`${of === topic ? '' : 'chat '}${payload}`))
    const present = await new Promise((resolve) => second.once('connect', (connack) => resolve(connack.sessionPresent)))
    expect(present).toBe(true)
    await expect.poll(() => texts.filter((text) => !text.startsWith('chat'))).toEqual(['one', 'two'])
    const lines = [`chat ${username}: one`, `chat ${username}: two`]
    await expect.poll(() => texts.filter((text) => text.startsWith('chat'))).toEqual(lines)
    await Promise.all([sender.endAsync(), second.endAsync()])
  })
})

describe('the handshake', () => {
  const subprotocol = { 'sec-websocket-protocol': 'mqtt' }

  it('is answered with 404 elsewhere, and with 400 without the subprotocol mqtt [MQTT-6.0.0-3]', async () => {
    const elsewhere = await refusalOf(`ws://127.0.0.1:${broker.httpPort}/mqtt/x`, subprotocol)
    expect(elsewhere).toMatchObject({ status: 404, text: expect.stringContaining('"status":404') })
    expect((await refusalOf(ws(), {})).status).toBe(400)
    expect((await refusalOf(ws(), { 'sec-websocket-protocol': 'xmpp, mqttv3.1' })).status).toBe(400)
  })

  it('is answered with 400 when it is not one of RFC 6455', async () => {
    const old = await refusalOf(ws(), { ...subprotocol, 'sec-websocket-version': '7' })
    expect(old).toMatchObject({ status: 400, headers: { 'sec-websocket-version': '13' } })
    expect((await refusalOf(ws(), { ...subprotocol, 'sec-websocket-key': 'short' })).status).toBe(400)
  })

  it('chooses mqtt among several', async () => {
    const { socket } = await openWebSocket(ws(), 'mqtt')
    expect([socket.protocol, socket.extensions]).toEqual(['mqtt', ''])
    socket.terminate()
  })
})

describe('frames [MQTT-6.0.0-2]', () => {
  it('may cut a packet anywhere, and be empty', async () => {
    const { socket, bytes, until } = await openWebSocket(ws(), 'mqtt')
    for (const byte of await login('cut')) {
      socket.send(Buffer.of(byte))
      socket.send(Buffer.alloc(0))
    }
    await until(() => isConnack(bytes()))
    socket.terminate()
  })

  it('may hold several packets, and be fragmented', async () => {
    const { socket, bytes, until } = await openWebSocket(ws(), 'mqtt')
    const topic = 'several/packets'
    const publish = publishPacket(5, { topic, payload: 'hello', qos: 0 })
    const all = Buffer.concat([
      await login('many'),
      subscribePacket(5, 1, [{ filter: topic, qos: 0 }]),
      publish,
      publish,
    ])
    socket.send(all.subarray(0, 7), { fin: false })
    socket.ping()
    socket.send(all.subarray(7, -3), { fin: false })
    socket.send(all.subarray(-3), { fin: true })
    await until(() => bytes().toString('latin1').split('hello').length === 3)
    socket.terminate()
  })

  it('of text end the connection [MQTT-6.0.0-1]', async () => {
    const { socket, closed } = await openWebSocket(ws(), 'mqtt')
    socket.send('hello')
    expect(await closed).toBe(1003)
  })

  it('over the largest packet end the connection before they are read', async () => {
    const { socket, closed } = await openWebSocket(ws(), 'mqtt')
    socket.send(Buffer.alloc(limits.maxPacketBytes + 65 * 1024))
    expect(await closed).toBe(1009)
  })
})

describe('hostile input', () => {
  it('a packet that announces 256 MB is told that it is too large', async () => {
    const { socket, bytes, closed, until } = await openWebSocket(ws(), 'mqtt')
    socket.send(await login('huge'))
    await until(() => isConnack(bytes()))
    socket.send(Buffer.of(0x30, 0xff, 0xff, 0xff, 0x7f))
    await closed
    const reason = Buffer.from('The packet is too large').toString('hex')
    expect(bytes().toString('hex')).toMatch(new RegExp(`e01c951a1f0017${reason}$`))
  })

  it('a client that logs in too slowly, or never speaks, is closed', async () => {
    const [silent, slow] = [await openWebSocket(ws(), 'mqtt'), await openWebSocket(wss(), 'mqtt')]
    const packet = await login('slow')
    let at = 0
    const drip = setInterval(() => slow.socket.send(packet.subarray(at, ++at)), 400)
    await Promise.all([silent.closed, slow.closed])
    clearInterval(drip)
    expect(at).toBeLessThan(packet.length)
    expect(silent.messages).toEqual([])
  })

  it('a client that stops reading costs a bounded buffer, and its neighbour nothing', async () => {
    const topic = 'flood/websocket'
    const frozen = await openWebSocket(ws(), 'mqtt')
    frozen.socket.send(Buffer.concat([await login('frozen'), subscribePacket(5, 1, [{ filter: topic, qos: 0 }])]))
    await frozen.until(() => frozen.bytes().includes(0x90))
    frozen.socket.pause()
    const { name: username, password } = await broker.account('witness')
    const witness = await connectAsync(ws(), { username, password })
    let received = 0
    witness.on('message', () => received++)
    await witness.subscribeAsync(topic)
    const before = process.memoryUsage().rss
    const payload = Buffer.alloc(16 * 1024)
    for (let round = 1; round <= 100; round++) {
      for (let i = 0; i < 20; i++) witness.publish(topic, payload)
      await expect.poll(() => received, { timeout: 10_000, interval: 5 }).toBe(round * 20)
    }
    expect(process.memoryUsage().rss - before).toBeLessThan(100 * 1024 * 1024)
    const metrics = await (await fetch(`${broker.http}/metrics`)).text()
    expect(Number(/^clearbox_mqtt_qos0_dropped_total (\d+)/m.exec(metrics)?.[1])).toBeGreaterThan(500)
    await witness.endAsync()
    frozen.socket.terminate()
  })
})
