// What XMPP answers to a client that is logged in and says what no stream may hold. RFC 6120 §4.9.3, §11
import { once } from 'node:events'
import type { TLSSocket } from 'node:tls'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { defaultLimits } from '../../broker/limits.ts'
import { startTestBroker, type TestBroker } from '../helpers/broker.ts'
import { metric, open, type Target, targetOf } from '../helpers/hostile-target.ts'
import { startWitnesses, type Witnesses } from '../helpers/hostile-witnesses.ts'
import { connectClient, domain, XmppClient } from '../script/xmpp-client.ts'

let broker: TestBroker
let target: Target
let witnesses: Witnesses
beforeAll(async () => {
  broker = await startTestBroker({ env: { CLEARBOX_METRICS_PORT: '0' }, limits: { ...defaultLimits, loginMs: 2500 } })
  target = await targetOf(broker)
  witnesses = await startWitnesses(target)
})
afterAll(async () => {
  await witnesses.end()
  await broker.stop()
})

const carriers = ['xmpp', 'xmpps'] as const
type Carrier = (typeof carriers)[number]

/** Under TLS, and no more. */
async function secured(carrier: Carrier): Promise<XmppClient> {
  if (carrier === 'xmpp') {
    const client = await connectClient(target.ports.xmpp)
    await client.startTls()
    return client
  }
  const socket = open(target, 'xmpps') as TLSSocket
  await once(socket, 'secureConnect')
  return new XmppClient(socket)
}

async function bound(carrier: Carrier, name: string): Promise<XmppClient> {
  const client = await secured(carrier)
  await client.login(name)
  await client.bind()
  return client
}

const entities = Array.from({ length: 10 }, (_, i) => `<!ENTITY e${i + 1} "&e${i};&e${i};">`).join('')
const attributes = Array.from({ length: 100 }, (_, i) => `a${i}='x'`).join(' ')

const hostile: readonly [what: string, bytes: string | Buffer, condition: string][] = [
  ['a document type (§11.1)', `<!DOCTYPE x SYSTEM 'file:///etc/passwd'>`, 'restricted-xml'],
  ['entities that grow', `<!DOCTYPE x [<!ENTITY e0 "x">${entities}]><message>&e10;</message>`, 'restricted-xml'],
  ['a comment', '<!-- x -->', 'restricted-xml'],
  ['a comment inside of a stanza', '<message><!-- x --></message>', 'restricted-xml'],
  ['a processing instruction', '<?php x ?>', 'restricted-xml'],
  ['an entity that nobody declared', '<message><body>&lol;</body></message>', 'restricted-xml'],
  ['a bare &', '<message><body>this & that</body></message>', 'not-well-formed'],
  ['a bare & at the end of what is said', '<message><body>this &aaaaaaaaaaaaaaaa', 'not-well-formed'],
  ['a control character', '<message><body>\u0000</body></message>', 'not-well-formed'],
  ['a character reference to one', '<message><body>&#x1f;</body></message>', 'not-well-formed'],
  ['bytes that are not UTF-8 (§11.6)', Buffer.from('3c613ec3283c2f613e', 'hex'), 'not-well-formed'],
  ['UTF-16', Buffer.from('\ufeff<message/>', 'utf16le'), 'not-well-formed'],
  ['random bytes', Buffer.from('a5be17fe0c9e25d59cc1ab', 'hex'), 'not-well-formed'],
  ['a second XML declaration', `<?xml version='1.0'?>`, 'not-well-formed'],
  ['tags that cross', '<message><body></message></body>', 'not-well-formed'],
  ['the end of another element', '</message>', 'not-well-formed'],
  ['an attribute twice', `<message to='a' to='b'/>`, 'not-well-formed'],
  ['a prefix that nobody declared', '<x:message/>', 'not-well-formed'],
  ['deep nesting', '<message>'.repeat(100), 'policy-violation'],
  ['many attributes', `<message ${attributes}/>`, 'policy-violation'],
  ['an element over the limit', `<message><body>${'x'.repeat(300_000)}`, 'policy-violation'],
  ['a name over the limit', `<${'x'.repeat(300_000)}`, 'policy-violation'],
  ['text between stanzas', 'hello<message/>', 'bad-format'],
  ['a stanza of servers', `<message xmlns='jabber:server'/>`, 'invalid-namespace'],
  ['what is no stanza', `<query xmlns='jabber:iq:roster'/>`, 'unsupported-stanza-type'],
]

describe.each(carriers)('on %s', (carrier) => {
  it('after the login, each is answered with its stream error and the end', async () => {
    const { name } = await broker.account('hostile')
    const got: Record<string, string> = {}
    await witnesses.during(async () => {
      for (const [what, bytes] of hostile) {
        const client = await bound(carrier, name)
        client.write(bytes)
        got[what] = await client.streamError()
      }
    })
    expect(got).toEqual(Object.fromEntries(hostile.map(([what, , condition]) => [what, condition])))
  })

  it('before the login a stranger may say less: 10 KiB', async () => {
    const client = await secured(carrier)
    client.openStream()
    await client.until('features')
    client.write(`<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>${'A'.repeat(30_000)}`)
    expect(await witnesses.during(() => client.streamError())).toBe('policy-violation')
  })

  it('a stanza that is cut off has not been said', async () => {
    const [alice, bob] = [await broker.account('alice'), await broker.account('bob')]
    const receiver = await bound(carrier, bob.name)
    receiver.write('<presence/>')
    await receiver.until('presence')
    const sender = await bound(carrier, alice.name)
    sender.write(`<message to='${bob.name}@${domain}' type='chat'><body>half`)
    sender.socket.end()
    expect(await witnesses.during(() => sender.next())).toBe('end')
    expect(await receiver.ping()).toEqual([])
    receiver.destroy()
  })
})

it('a header that comes byte by byte has no more time than another one', async () => {
  const header = `<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' to='${domain}'>`
  const conditions = carriers.map(async (carrier) => {
    const client = carrier === 'xmpp' ? await connectClient(target.ports.xmpp) : await secured(carrier)
    let said = 0
    const drip = setInterval(() => client.write(header.slice(said, ++said)), 100)
    const condition = await client.streamError()
    clearInterval(drip)
    return condition
  })
  expect(await witnesses.during(() => Promise.all(conditions))).toEqual(['connection-timeout', 'connection-timeout'])
})

it('nothing of it is left: the streams are those of the witnesses', async () => {
  await expect.poll(() => metric(target, 'xmpp_connections'), { timeout: 8000 }).toBe(witnesses.connections.xmpp)
})
