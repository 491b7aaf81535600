// @xmpp/client, which we did not write: it logs in, sends, receives and reconnects as applications do.
import { Socket } from 'node:net'
import { type Client, client, type XmlElement, xml } from '@xmpp/client'
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import { WebSocket } from 'ws'
import { startTestBroker, type TestBroker } from '../helpers/broker.ts'
import { eventually } from '../helpers/eventually.ts'
import { domain } from './xmpp-client.ts'

let broker: TestBroker
const checked = process.env.NODE_TLS_REJECT_UNAUTHORIZED
beforeAll(async () => {
  // The certificate is self-signed, and this client has no setting for that.
  process.env.NODE_TLS_REJECT_UNAUTHORIZED = '0'
  // It takes the one of the browser, which Node has from 22 on.
  vi.stubGlobal('WebSocket', WebSocket)
  broker = await startTestBroker()
})
afterAll(async () => {
  await broker.stop()
  if (checked === undefined) delete process.env.NODE_TLS_REJECT_UNAUTHORIZED
  else process.env.NODE_TLS_REJECT_UNAUTHORIZED = checked
})

const services = () => ({
  tcp: `xmpp://127.0.0.1:${broker.xmppPort}`,
  xmpps: `xmpps://127.0.0.1:${broker.xmppsPort}`,
  ws: `ws://127.0.0.1:${broker.httpPort}/xmpp-websocket`,
  wss: `wss://127.0.0.1:${broker.httpsPort}/xmpp-websocket`,
})

type Connected = Readonly<{ xmpp: Client; address: string; stanzas: XmlElement[] }>

type Account = Readonly<{ name: string; password: string }>

async function connected(account: Account, resource: string, service = services().tcp): Promise<Connected> {
  const { name: username, password } = account
  const xmpp = client({ service, domain, username, password, resource, timeout: 10_000 })
  const stanzas: XmlElement[] = []
  xmpp.reconnect.stop()
  xmpp.on('error', () => {})
  xmpp.on('stanza', (stanza) => stanzas.push(stanza))
  const address = String(await xmpp.start())
  await xmpp.send(xml('presence'))
  await eventually(() => stanzas.some((stanza) => stanza.name === 'presence'))
  return { xmpp, address, stanzas }
}

/** As a network does that is gone: without a goodbye. */
function tear({ socket }: Client): void {
  const { socket: below = socket } = socket
  if (below instanceof WebSocket) below.terminate()
  else if (below instanceof Socket) below.destroy()
  else throw new Error('no socket to tear')
}

function textsOf(stanzas: readonly XmlElement[]): readonly (string | null)[] {
  return stanzas.filter((stanza) => stanza.name === 'message').map((stanza) => stanza.getChildText('body'))
}

describe('@xmpp/client', () => {
  it('logs in with SCRAM over STARTTLS, binds its resource, and holds a conversation', async () => {
    const [alice, bob] = [await broker.account('alice'), await broker.account('bob')]
    const [phone, desk] = [await connected(alice, 'phone'), await connected(bob, 'desk')]
    expect(phone.address).toBe(`${alice.name}@${domain}/phone`)
    const to = `${bob.name}@${domain}`
    await phone.xmpp.send(xml('message', { to, type: 'chat', id: 'm1' }, xml('body', {}, 'ü & <b/>')))
    await eventually(() => textsOf(desk.stanzas).length === 1)
    expect(textsOf(desk.stanzas)).toEqual(['ü & <b/>'])
    await desk.xmpp.send(xml('message', { to: phone.address, type: 'chat' }, xml('body', {}, 'yes')))
    await eventually(() => textsOf(phone.stanzas).length === 1)
    await Promise.all([phone.xmpp.stop(), desk.xmpp.stop()])
  })

  it('is told that the password is wrong', async () => {
    const { name } = await broker.account('alice')
    await expect(connected({ name, password: 'wrong' }, 'phone')).rejects.toMatchObject({ condition: 'not-authorized' })
  })

  it('asks for a roster, disco and a ping', async () => {
    const { xmpp } = await connected(await broker.account('alice'), 'phone')
    const ask = (ns: string, name: string, to?: string) =>
      xmpp.iqCaller.request(xml('iq', { type: 'get', ...(to && { to }) }, xml(name, { xmlns: ns })))
    const roster = await ask('jabber:iq:roster', 'query')
    expect(roster.getChild('query')?.getChild('item')).toBeUndefined()
    const info = await ask('http://jabber.org/protocol/disco#info', 'query', domain)
    expect(info.getChild('query')?.getChild('identity')?.attrs.category).toBe('server')
    expect((await ask('urn:xmpp:ping', 'ping', domain)).attrs.type).toBe('result')
    await xmpp.stop()
  })

  it.each(['tcp', 'xmpps', 'ws', 'wss'] as const)(
    'resumes over %s what was torn while messages came, and misses nothing (XEP-0198)',
    async (kind) => {
      const [alice, bob] = [await broker.account('alice'), await broker.account('bob')]
      const [phone, desk] = [await connected(alice, 'phone', services()[kind]), await connected(bob, 'desk')]
      let binds = 0
      phone.xmpp.on('online', () => binds++)
      const texts = Array.from({ length: 40 }, (_, n) => `${n}`)
      for (const text of texts) {
        await desk.xmpp.send(xml('message', { to: phone.address, type: 'chat' }, xml('body', {}, text)))
        if (text === '10') {
          await eventually(() => textsOf(phone.stanzas).includes('5'))
          tear(phone.xmpp)
        }
      }
      await phone.xmpp.reconnect.reconnect()
      await expect.poll(() => textsOf(phone.stanzas), { timeout: 10_000 }).toEqual(texts)
      expect(binds).toBe(0)
      await Promise.all([phone.xmpp.stop(), desk.xmpp.stop()])
    },
  )
})
