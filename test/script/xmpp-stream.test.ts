// RFC 6120 §4 to §7 with a client that can be as wrong as it likes.
import { createConnection } from 'node:net'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { childOf, type Element, elementsOf, textOf } from '../../adapters/xmpp/element.ts'
import { makeVerifiers } from '../../broker/auth/scram.ts'
import { startTestBroker, type TestBroker } from '../helpers/broker.ts'
import { eventually } from '../helpers/eventually.ts'
import { connectClient, domain, loginClient, type Said, type XmppClient } from './xmpp-client.ts'

const tlsNs = 'urn:ietf:params:xml:ns:xmpp-tls'
const saslNs = 'urn:ietf:params:xml:ns:xmpp-sasl'
const bindNs = 'urn:ietf:params:xml:ns:xmpp-bind'

let broker: TestBroker
beforeAll(async () => {
  broker = await startTestBroker()
})
afterAll(() => broker.stop())

async function secured(): Promise<XmppClient> {
  const client = await connectClient(broker.xmppPort)
  await client.startTls()
  client.openStream()
  await client.until('features')
  return client
}

function conditionOf(element: Element): string {
  const error = element.name === 'failure' ? element : childOf(element, 'error')
  return error ? (elementsOf(error)[0]?.name ?? '') : ''
}

function base64(text: string): string {
  return Buffer.from(text).toString('base64')
}

function headerOf(said: Said): Element {
  if (typeof said === 'string' || !('open' in said)) throw new Error('no header')
  return said.open
}

describe('the header of a stream (RFC 6120 §4.7)', () => {
  it('is answered with domain, id, version and language', async () => {
    const client = await connectClient(broker.xmppPort)
    client.openStream(`from='juliet@${domain}' to='LOCALHOST' version='1.0' xml:lang='de'`)
    const { attrs } = headerOf(await client.next())
    expect(attrs).toMatchObject({ from: domain, to: `juliet@${domain}`, version: '1.0', 'xml:lang': 'en' })
    expect(attrs.id).toMatch(/^[\w-]{16}$/)
    client.destroy()
  })

  it.each([
    [`to='elsewhere.org' version='1.0'`, 'host-unknown'],
    [`version='1.0'`, 'host-unknown'],
    [`to='a..b' version='1.0'`, 'improper-addressing'],
    [`to='${domain}' from='@x' version='1.0'`, 'improper-addressing'],
    [`to='${domain}'`, 'unsupported-version'],
    [`to='${domain}' version='0.9'`, 'unsupported-version'],
  ])('%s is answered with %s', async (attributes, condition) => {
    const client = await connectClient(broker.xmppPort)
    client.openStream(attributes)
    expect(headerOf(await client.next()).attrs.from).toBe(domain)
    expect(await client.streamError()).toBe(condition)
  })

  it.each([
    [`<stream:stream xmlns='jabber:client' xmlns:stream='u:other' to='${domain}' version='1.0'>`, 'invalid-namespace'],
    [
      `<stream:stream xmlns='jabber:server' xmlns:stream='http://etherx.jabber.org/streams' to='${domain}' version='1.0'>`,
      'invalid-namespace',
    ],
    [`<stream:flow xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'>`, 'bad-format'],
    ['GET / HTTP/1.1\r\n\r\n', 'not-well-formed'],
    ['<!-- hello -->', 'restricted-xml'],
    [`<?xml version='1.0' encoding='UTF-16'?>`, 'unsupported-encoding'],
  ])('%j is answered with a header of its own and %s', async (bytes, condition) => {
    const client = await connectClient(broker.xmppPort)
    client.write(bytes)
    expect(headerOf(await client.next()).attrs.from).toBe(domain)
    expect(await client.streamError()).toBe(condition)
  })
})

describe('before the login', () => {
  it('offers nothing but TLS, and requires it (§5.3.1)', async () => {
    const client = await connectClient(broker.xmppPort)
    client.openStream()
    const features = await client.until('features')
    expect(elementsOf(features).map(({ name }) => name)).toEqual(['starttls'])
    expect(childOf(features, 'starttls', tlsNs)?.children).toHaveLength(1)
    client.destroy()
  })

  it.each([
    ['<message/>', 'not-authorized'],
    [`<iq type='set' id='1'><bind xmlns='${bindNs}'/></iq>`, 'not-authorized'],
    [`<presence xmlns='jabber:server'/>`, 'invalid-namespace'],
    ['<unknown/>', 'unsupported-stanza-type'],
    ['some text<a/>', 'bad-format'],
    ['<a></b>', 'not-well-formed'],
    [`<a>${'x'.repeat(30_000)}`, 'policy-violation'],
  ])('%s ends the stream with %s', async (bytes, condition) => {
    const client = await connectClient(broker.xmppPort)
    client.openStream()
    await client.until('features')
    client.write(bytes)
    expect(await client.streamError()).toBe(condition)
  })

  it('refuses a login in the clear (§6.5.4)', async () => {
    const client = await connectClient(broker.xmppPort)
    client.openStream()
    await client.until('features')
    client.write(`<auth xmlns='${saslNs}' mechanism='PLAIN'>${base64('\0a\0b')}</auth>`)
    expect(conditionOf(await client.element())).toBe('encryption-required')
    client.destroy()
  })

  it('reads nothing that follows <starttls/> in the clear (§5.4.3.3)', async () => {
    for (const injected of [`<auth xmlns='${saslNs}' mechanism='PLAIN'>eA==</auth>`, '<', '<a>']) {
      const client = await connectClient(broker.xmppPort)
      client.openStream()
      await client.until('features')
      client.write(`<starttls xmlns='${tlsNs}'/>${injected}`)
      expect((await client.element()).name).toBe('failure')
      expect(await client.streamError()).toBe('policy-violation')
    }
  })

  it('takes what comes after <proceed/> for TLS and for nothing else', async () => {
    const client = await connectClient(broker.xmppPort)
    client.openStream()
    await client.until('features')
    client.write(`<starttls xmlns='${tlsNs}'/>`)
    await client.until('proceed')
    client.openStream()
    expect(await client.next()).toBe('end')
  })

  it('answers a goodbye with a goodbye (§4.4)', async () => {
    const client = await connectClient(broker.xmppPort)
    client.openStream()
    await client.until('features')
    client.write('</stream:stream>')
    expect(await client.next()).toBe('close')
    expect(await client.next()).toBe('end')
  })

  it('survives a connection that is torn', async () => {
    const connections = async () => {
      const metrics = await (await fetch(`${broker.http}/metrics`)).text()
      return Number(/^clearbox_xmpp_connections (\d+)$/m.exec(metrics)?.[1])
    }
    await eventually(async () => (await connections()) === 0)
    const socket = createConnection(broker.xmppPort, '127.0.0.1')
    await eventually(async () => (await connections()) === 1)
    socket.resetAndDestroy()
    await eventually(async () => (await connections()) === 0)
  })
})

describe('SASL (RFC 6120 §6)', () => {
  it('offers SCRAM first and PLAIN last, under TLS only', async () => {
    const client = await connectClient(broker.xmppPort)
    await client.startTls()
    client.openStream()
    const features = await client.until('features')
    expect(elementsOf(features).map(({ name }) => name)).toEqual(['mechanisms'])
    const mechanisms = childOf(features, 'mechanisms', saslNs)
    expect(mechanisms && elementsOf(mechanisms).map(textOf)).toEqual([
      'SCRAM-SHA-256',
      'SCRAM-SHA-1',
      'OAUTHBEARER',
      'PLAIN',
    ])
    client.destroy()
  })

  it.each([
    ['EXTERNAL', '=', 'invalid-mechanism'],
    ['PLAIN', '!', 'incorrect-encoding'],
    ['PLAIN', 'YQ', 'incorrect-encoding'],
    ['PLAIN', '', 'malformed-request'],
    ['PLAIN', base64('no separators'), 'malformed-request'],
    ['PLAIN', base64('\0name\0'), 'malformed-request'],
    ['PLAIN', base64('\0nobody\0secret'), 'not-authorized'],
    ['SCRAM-SHA-1', base64('x,,n=a,r=b'), 'malformed-request'],
    ['SCRAM-SHA-1', base64('n,,m=x,n=a,r=b'), 'malformed-request'],
    ['SCRAM-SHA-1', base64('n,,n=a=20b,r=b'), 'malformed-request'],
    ['SCRAM-SHA-1', base64('p=tls-exporter,,n=a,r=b'), 'malformed-request'],
    ['SCRAM-SHA-1', Buffer.from([0xff]).toString('base64'), 'malformed-request'],
  ])('%s with %j fails with %s', async (mechanism, token, condition) => {
    const client = await secured()
    client.write(`<auth xmlns='${saslNs}' mechanism='${mechanism}'>${token}</auth>`)
    const failure = await client.element()
    expect(failure.name).toBe('failure')
    expect(conditionOf(failure)).toBe(condition)
    client.destroy()
  })

  it('may be tried three times (§6.4.5), and a later try may be right', async () => {
    const { name } = await broker.account('retry')
    const wrong = `<auth xmlns='${saslNs}' mechanism='PLAIN'>${base64(`\0${name}\0wrong`)}</auth>`
    const client = await secured()
    for (const _ of [1, 2]) {
      client.write(wrong)
      expect(conditionOf(await client.element())).toBe('not-authorized')
    }
    client.write(`<auth xmlns='${saslNs}' mechanism='PLAIN'>${base64(`\0${name}\0${name}-pw`)}</auth>`)
    expect((await client.element()).name).toBe('success')
    client.destroy()

    const stubborn = await secured()
    for (const _ of [1, 2, 3]) stubborn.write(wrong)
    expect(await stubborn.streamError()).toBe('policy-violation')
  })

  it('can be aborted (§6.4.4)', async () => {
    const client = await secured()
    client.write(`<auth xmlns='${saslNs}' mechanism='SCRAM-SHA-256'>${base64('n,,n=a,r=b')}</auth>`)
    expect((await client.element()).name).toBe('challenge')
    client.write(`<abort xmlns='${saslNs}'/>`)
    expect(conditionOf(await client.element())).toBe('aborted')
    client.destroy()
  })

  it('cannot tell an unknown name from a known one before the proof', async () => {
    const challenges: string[] = []
    for (const _ of [1, 2]) {
      const client = await secured()
      client.write(`<auth xmlns='${saslNs}' mechanism='SCRAM-SHA-1'>${base64('n,,n=nobody,r=b')}</auth>`)
      const challenge = Buffer.from(textOf(await client.element()), 'base64').toString()
      challenges.push(challenge.replace(/^r=[^,]+/, ''))
      client.destroy()
    }
    expect(challenges[0]).toMatch(/^,s=[\w+/=]+,i=10000$/)
    expect(challenges[1]).toBe(challenges[0])
  })

  it('lets nobody act for another account (§6.3.8)', async () => {
    const { name } = await broker.account('own')
    for (const [authzid, answer] of [
      [`other@${domain}`, 'failure'],
      [`${name}@${domain}`, 'success'],
    ]) {
      const client = await secured()
      client.write(`<auth xmlns='${saslNs}' mechanism='PLAIN'>${base64(`${authzid}\0${name}\0${name}-pw`)}</auth>`)
      expect((await client.element()).name).toBe(answer)
      client.destroy()
    }
  })

  it('takes nothing that came before its answer', async () => {
    const { name } = await broker.account('hasty')
    const client = await secured()
    const auth = `<auth xmlns='${saslNs}' mechanism='PLAIN'>${base64(`\0${name}\0${name}-pw`)}</auth>`
    client.write(`${auth}<iq type='set' id='1'><bind xmlns='${bindNs}'/></iq>`)
    expect(await client.streamError()).toBe('policy-violation')
  })

  it('ends the stream when the password changes', async () => {
    const { name } = await broker.account('changed')
    const client = await loginClient(broker.xmppPort, name)
    await broker.store.accounts.setVerifiers(name, await makeVerifiers('other'))
    expect(await client.streamError()).toBe('reset')
  })
})

describe('binding (RFC 6120 §7)', () => {
  async function loggedIn(name: string): Promise<XmppClient> {
    const client = await connectClient(broker.xmppPort)
    await client.startTls()
    await client.login(name)
    return client
  }

  it('gives the resource that was asked for in its canonical spelling, or one of its own', async () => {
    const { name } = await broker.account('binder')
    expect(await (await loggedIn(name)).bind('my\u00a0phone')).toBe(`${name}@${domain}/my phone`)
    const [one, two] = [await (await loggedIn(name)).bind(), await (await loggedIn(name)).bind('')]
    expect(one).toMatch(/\/[\w-]{12}$/)
    expect(two).not.toBe(one)
  })

  it.each([
    ['a\u0009b', 'bad-request'],
    ['mqtt-abcdefgh23', 'conflict'],
  ])('refuses %j with %s', async (resource, condition) => {
    const { name } = await broker.account('binder')
    const client = await loggedIn(name)
    client.write(`<iq type='set' id='1'><bind xmlns='${bindNs}'><resource>${resource}</resource></bind></iq>`)
    expect(conditionOf(await client.element())).toBe(condition)
    await expect(client.bind('mqtt-phone')).resolves.toMatch(/\/mqtt-phone$/)
    client.destroy()
  })

  it('closes the older stream with the same resource (§7.7.2.2)', async () => {
    const { name } = await broker.account('binder')
    const older = await loginClient(broker.xmppPort, name, 'phone')
    const newer = await loginClient(broker.xmppPort, name, 'phone')
    expect(await older.streamError()).toBe('conflict')
    expect(newer.address).toBe(`${name}@${domain}/phone`)
    expect(await newer.ping()).toEqual([])
    newer.destroy()
  })

  it('comes before stanzas (§7.1)', async () => {
    const { name } = await broker.account('binder')
    const client = await loggedIn(name)
    client.write('<presence/>')
    expect(await client.streamError()).toBe('not-authorized')
  })
})

describe('an open stream', () => {
  it.each([
    [`<presence from='other@${domain}'/>`, 'invalid-from'],
    [`<presence from='@'/>`, 'invalid-from'],
    [`<message xmlns='jabber:server'/>`, 'invalid-namespace'],
    [`<auth xmlns='${saslNs}' mechanism='PLAIN'/>`, 'unsupported-stanza-type'],
    ['hello', 'bad-format'],
    ['<message><body>a</message>', 'not-well-formed'],
    ['<!-- x -->', 'restricted-xml'],
    [`<message>${'x'.repeat(300_000)}</message>`, 'policy-violation'],
  ])('ends after %s with %s', async (bytes, condition) => {
    const { name } = await broker.account('open')
    const client = await loginClient(broker.xmppPort, name)
    client.write(`${bytes}<presence/>`)
    expect(await client.streamError()).toBe(condition)
  })

  it('takes a stanza of 200 KB, white space, and its own address as from', async () => {
    const { name } = await broker.account('open')
    const client = await loginClient(broker.xmppPort, name)
    const query = `<query xmlns='jabber:iq:version'>${'x'.repeat(200_000)}</query>`
    client.write(`<iq type='get' id='own' from='${client.address}' to='${client.address}'>${query}</iq>`)
    expect(textOf(elementsOf(await client.until('iq'))[0] as Element)).toHaveLength(200_000)
    client.write(`   \n<presence from='${name}@${domain}'/>`)
    await client.until('presence')
    expect(await client.ping()).toEqual([])
    await client.close()
  })
})
