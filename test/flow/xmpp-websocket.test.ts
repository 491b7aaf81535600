// RFC 7395: XMPP over WebSocket.
import { type Client, client, type XmlElement, xml } from '@xmpp/client'
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import { WebSocket } from 'ws'
import { defaultLimits } from '../../broker/limits.ts'
import { startTestBroker, type TestBroker } from '../helpers/broker.ts'
import { openWebSocket, type RawWebSocket, refusalOf } from '../helpers/raw-websocket.ts'
import { domain } from '../script/xmpp-client.ts'

const framingNs = 'urn:ietf:params:xml:ns:xmpp-framing'
const saslNs = 'urn:ietf:params:xml:ns:xmpp-sasl'
const open = `<open xmlns='${framingNs}' to='${domain}' version='1.0'/>`

let broker: TestBroker
const checked = process.env.NODE_TLS_REJECT_UNAUTHORIZED
beforeAll(async () => {
  // The certificate is self-signed, and @xmpp/client has no setting for that.
  process.env.NODE_TLS_REJECT_UNAUTHORIZED = '0'
  // @xmpp/client takes the one of the browser, which Node has from 22 on.
  vi.stubGlobal('WebSocket', WebSocket)
  broker = await startTestBroker({
    env: { CLEARBOX_TRUSTED_PROXIES: '127.0.0.2' },
    limits: { ...defaultLimits, loginMs: 5000 },
  })
})
afterAll(async () => {
  await broker.stop()
  if (checked === undefined) delete process.env.NODE_TLS_REJECT_UNAUTHORIZED
  else process.env.NODE_TLS_REJECT_UNAUTHORIZED = checked
})

const ws = () => `ws://127.0.0.1:${broker.httpPort}/xmpp-websocket`
const wss = () => `wss://127.0.0.1:${broker.httpsPort}/xmpp-websocket`
const connect = (url = ws(), options = {}) => openWebSocket(url, 'xmpp', options)

async function say(raw: RawWebSocket, frame: string, until: string): Promise<void> {
  raw.socket.send(frame)
  await raw.until(() => raw.text().includes(until))
}

async function bound(name: string, resource: string): Promise<RawWebSocket> {
  const raw = await connect()
  await say(raw, open, 'PLAIN')
  const token = Buffer.from(`\0${name}\0${name}-pw`).toString('base64')
  await say(raw, `<auth xmlns='${saslNs}' mechanism='PLAIN'>${token}</auth>`, '<success')
  await say(raw, open, '<bind')
  const bind = `<bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'><resource>${resource}</resource></bind>`
  await say(raw, `<iq xmlns='jabber:client' type='set' id='b'>${bind}</iq>`, '<jid>')
  return raw
}

describe('@xmpp/client', () => {
  it.each(['ws', 'wss', 'xmpps'] as const)('logs in over %s and holds a conversation with one on TCP', async (kind) => {
    const services = { ws: ws(), wss: wss(), xmpps: `xmpps://127.0.0.1:${broker.xmppsPort}` }
    const [alice, bob] = [await broker.account('alice'), await broker.account('bob')]
    const here = await started(services[kind], alice)
    const there = await started(`xmpp://127.0.0.1:${broker.xmppPort}`, bob)
    const to = `${bob.name}@${domain}`
    await here.xmpp.send(xml('message', { to, type: 'chat' }, xml('body', {}, 'ü & <b/> 📱')))
    await expect.poll(() => there.bodies()).toEqual(['ü & <b/> 📱'])
    await there.xmpp.send(xml('message', { to: `${alice.name}@${domain}`, type: 'chat' }, xml('body', {}, 'yes')))
    await expect.poll(() => here.bodies()).toEqual(['yes'])
    await Promise.all([here.xmpp.stop(), there.xmpp.stop()])
  })
})

describe('frames', () => {
  it('are each a document of their own, in both directions (§3.3)', async () => {
    const { name } = await broker.account('framed')
    const raw = await bound(name, 'web')
    await say(raw, `<presence xmlns='jabber:client'/>`, '<presence')
    raw.socket.send(`<iq xmlns='jabber:client' type='get' id='p' to='${domain}'><ping xmlns='urn:xmpp:ping'/></iq>`)
    await say(raw, `<message xmlns='jabber:client' to='${name}@${domain}'><body>me</body></message>`, '<body>me')
    await raw.until(() => raw.text().includes("id='p'"))
    const frames = raw.messages.map((frame) => frame.toString())
    for (const frame of frames) expect(frame).toMatch(/^<([\w:]+) xmlns='[^']+'[^>]*(\/>|>[\s\S]*<\/\1>)$/)
    expect(frames[0]).toMatch(new RegExp(`^<open xmlns='${framingNs}' from='${domain}' id='[^']+' version='1.0'`))
    expect(frames[1]).toContain(
      `<stream:features xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'>`,
    )
    expect(frames[1]).not.toContain('starttls')
    await say(raw, `<close xmlns='${framingNs}'/>`, '<close')
    expect(await raw.closed).toBe(1000)
  })

  it('of white space count as nothing', async () => {
    const raw = await connect()
    raw.socket.send(' ')
    await say(raw, open, 'mechanisms')
    raw.socket.terminate()
  })

  it.each([
    ['a header of TCP', `<stream:stream xmlns='jabber:client'>`, 'not-well-formed'],
    ['two elements', `${open}${open}`, 'not-well-formed'],
    ['half an element', `<open xmlns='${framingNs}'>`, 'not-well-formed'],
    ['a closed parent', `</x><x>${open}`, 'not-well-formed'],
    ['text', 'hello', 'not-well-formed'],
    ['text beside an element', `${open}hello`, 'not-well-formed'],
    ['a DTD', `<!DOCTYPE x [<!ENTITY a 'b'>]>${open}`, 'restricted-xml'],
    ['a comment', `<!-- x -->${open}`, 'restricted-xml'],
    ['an entity', `<open xmlns='${framingNs}' to='&lol;'/>`, 'restricted-xml'],
    ['a bare &', `<open xmlns='${framingNs}' to='&`, 'not-well-formed'],
    ['another element first', `<message xmlns='jabber:client'/>`, 'invalid-namespace'],
    ['another host', `<open xmlns='${framingNs}' to='elsewhere' version='1.0'/>`, 'host-unknown'],
    ['deep nesting', '<a>'.repeat(100), 'policy-violation'],
    ['more than a stranger may say', `<open xmlns='${framingNs}' to='${'x'.repeat(11_000)}'/>`, 'policy-violation'],
  ])('that hold %s get the stream error, behind <open/> and before <close/>', async (_what, frame, condition) => {
    const raw = await connect()
    raw.socket.send(frame)
    await raw.closed
    expect(raw.messages.map((message) => /^<([\w:]+)/.exec(message.toString())?.[1])).toEqual([
      'open',
      'stream:error',
      'close',
    ])
    expect(raw.text()).toContain(`<${condition} xmlns=`)
  })

  it('of bytes, of invalid UTF-8 and over the limit end the connection', async () => {
    const [binary, invalid, large] = [await connect(), await connect(), await connect()]
    binary.socket.send(Buffer.from(open))
    invalid.socket.send(Buffer.of(0x3c, 0xff, 0xfe), { binary: false })
    large.socket.send('x'.repeat(300 * 1024))
    expect(await Promise.all([binary.closed, invalid.closed, large.closed])).toEqual([1003, 1007, 1009])
  })
})

describe('logins', () => {
  it('need the subprotocol xmpp (§3.1)', async () => {
    expect((await refusalOf(ws(), { 'sec-websocket-protocol': 'mqtt' })).status).toBe(400)
  })

  it('need TLS: of a client or, by its word, of a trusted proxy; on this machine none', async () => {
    const answerTo = async (headers: Record<string, string>, localAddress = '127.0.0.1', url = ws()) => {
      const raw = await connect(url, { headers, localAddress })
      raw.socket.send(open)
      await raw.until(() => /mechanisms|policy-violation/.test(raw.text()))
      raw.socket.terminate()
      return raw.text().includes('mechanisms')
    }
    const forwarded = { 'x-forwarded-for': '192.0.2.7', 'x-forwarded-proto': 'https' }
    expect(await answerTo({})).toBe(true)
    expect(await answerTo(forwarded)).toBe(false)
    expect(await answerTo(forwarded, '127.0.0.1', wss())).toBe(true)
    expect(await answerTo(forwarded, '127.0.0.2')).toBe(true)
    expect(await answerTo({ ...forwarded, 'x-forwarded-proto': 'http' }, '127.0.0.2')).toBe(false)
  })

  it('that do not come end with connection-timeout', async () => {
    const [silent, opened] = [await connect(), await connect()]
    opened.socket.send(open)
    await Promise.all([silent.closed, opened.closed])
    for (const raw of [silent, opened]) expect(raw.text()).toContain('connection-timeout')
  })
})

type Started = Readonly<{ xmpp: Client; bodies(): readonly (string | null)[] }>

async function started(
  service: string,
  { name: username, password }: Readonly<{ name: string; password: string }>,
): Promise<Started> {
  const xmpp = client({ service, domain, username, password })
  const stanzas: XmlElement[] = []
  xmpp.reconnect.stop()
  xmpp.on('error', () => {})
  xmpp.on('stanza', (stanza) => stanzas.push(stanza))
  await xmpp.start()
  await xmpp.send(xml('presence'))
  await expect.poll(() => stanzas.some((stanza) => stanza.name === 'presence')).toBe(true)
  const messages = () => stanzas.filter((stanza) => stanza.name === 'message')
  return { xmpp, bodies: () => messages().map((stanza) => stanza.getChildText('body')) }
}
