// DESIGN §5 and §9 at the XMPP border: order, bounded memory, slow peers, and the ways in which a stream ends.
import { once } from 'node:events'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { childText, type Element, textOf } from '../../adapters/xmpp/element.ts'
import { defaultLimits } from '../../broker/limits.ts'
import { startTestBroker, type TestBroker } from '../helpers/broker.ts'
import { eventually } from '../helpers/eventually.ts'
import { connectClient, domain, loginClient, type XmppClient } from './xmpp-client.ts'

let broker: TestBroker
beforeAll(async () => {
  broker = await startTestBroker({ limits: { ...defaultLimits, loginMs: 4000, outputStallMs: 2000 } })
})
afterAll(() => broker.stop())

async function available(name: string, resource = 'phone'): Promise<XmppClient> {
  const client = await loginClient(broker.xmppPort, name, resource)
  client.write('<presence/>')
  await client.until('presence')
  return client
}

function chat(to: string, text: string): string {
  return `<message to='${to}@${domain}' type='chat'><body>${text}</body></message>`
}

async function storedCount(name: string): Promise<number> {
  const account = await broker.store.accounts.byName(name)
  return account === null ? 0 : broker.store.archive.head(account.id)
}

async function metric(name: string): Promise<number> {
  const metrics = await (await fetch(`${broker.http}/metrics`)).text()
  return Number(new RegExp(`^clearbox_${name} (\\S+)$`, 'm').exec(metrics)?.[1])
}

describe('an iq behind messages', () => {
  it('is answered when they are stored, and not before', async () => {
    const [alice, bob] = [await broker.account('alice'), await broker.account('bob')]
    const client = await loginClient(broker.xmppPort, alice.name)
    for (const count of [1, 10, 300]) {
      const before = await storedCount(bob.name)
      client.write(Array.from({ length: count }, (_, i) => chat(bob.name, `${i}`)).join(''))
      expect(await client.ping()).toEqual([])
      expect(await storedCount(bob.name)).toBe(before + count)
    }
    client.destroy()
  })

  it('is answered behind their refusals', async () => {
    const alice = await broker.account('alice')
    const client = await loginClient(broker.xmppPort, alice.name)
    client.write(Array.from({ length: 100 }, (_, i) => chat(`nobody${i}`, 'x')).join(''))
    const errors = await client.ping()
    expect(errors.map(({ attrs }) => attrs.type)).toEqual(Array.from({ length: 100 }, () => 'error'))
    client.destroy()
  })

  it('and so is a goodbye', async () => {
    const [alice, bob] = [await broker.account('alice'), await broker.account('bob')]
    const client = await loginClient(broker.xmppPort, alice.name)
    client.write(Array.from({ length: 100 }, (_, i) => chat(bob.name, `${i}`)).join(''))
    await client.close()
    expect(await storedCount(bob.name)).toBe(100)
  })
})

describe('a quota', () => {
  it('slows a stream down, and nothing is refused or lost for it (DESIGN §2)', async () => {
    const slow = await startTestBroker({ env: { CLEARBOX_QUOTA_PER_SECOND: '50', CLEARBOX_QUOTA_BURST: '5' } })
    const [alice, bob] = [await slow.account('alice'), await slow.account('bob')]
    const client = await loginClient(slow.xmppPort, alice.name)
    client.write(chat(bob.name, 'first'))
    await client.ping()
    const before = performance.now()
    client.write(Array.from({ length: 30 }, (_, i) => chat(bob.name, `${i}`)).join(''))
    expect(await client.ping()).toEqual([])
    expect(performance.now() - before).toBeGreaterThan(400)
    const account = await slow.store.accounts.byName(bob.name)
    expect(account && (await slow.store.archive.head(account.id))).toBe(31)
    client.destroy()
    await slow.stop()
  })
})

describe('messages', () => {
  it('arrive in the order in which they were sent, each once, wherever the bytes are cut', async () => {
    const [alice, bob] = [await broker.account('alice'), await broker.account('bob')]
    const [sender, receiver] = [await loginClient(broker.xmppPort, alice.name), await available(bob.name)]
    const bytes = Buffer.from(Array.from({ length: 200 }, (_, i) => chat(bob.name, `ü${i}`)).join(''))
    for (let at = 0; at < bytes.length; at += 97) sender.write(bytes.subarray(at, at + 97))
    await sender.ping()
    const got: (string | null)[] = []
    while (got.length < 200) got.push(childText(await receiver.element(), 'body'))
    expect(got).toEqual(Array.from({ length: 200 }, (_, i) => `ü${i}`))
    expect(await receiver.ping()).toEqual([])
    sender.destroy()
    receiver.destroy()
  })
})

describe('a device that does not read', () => {
  it('costs a bounded buffer, delays nobody, and gets everything in order once it reads', async () => {
    const [alice, bob, carol] = [await broker.account('a'), await broker.account('b'), await broker.account('c')]
    const [sender, slow, other] = [
      await loginClient(broker.xmppPort, alice.name),
      await available(bob.name),
      await available(carol.name),
    ]
    slow.socket.pause()
    const text = 'x'.repeat(10_000)
    const sent = 800
    const before = await metric('xmpp_stanzas_sent_total')
    for (let i = 0; i < sent; i++) sender.write(chat(bob.name, `${i} ${text}`))
    await sender.ping()
    sender.write(chat(carol.name, 'meanwhile'))
    expect(textOf((await other.element()).children[0] as Element)).toBe('meanwhile')
    // What the kernel takes comes on top of our own 256 KiB.
    expect((await metric('xmpp_stanzas_sent_total')) - before).toBeLessThan(sent)
    slow.socket.resume()
    for (let i = 0; i < sent; i++) expect(childText(await slow.until('message'), 'body')).toBe(`${i} ${text}`)
    for (const client of [sender, slow, other]) client.destroy()
  })

  it('is closed when it takes nothing for too long, and its messages wait for the next one', async () => {
    const [alice, bob] = [await broker.account('alice'), await broker.account('bob')]
    const [sender, frozen] = [await loginClient(broker.xmppPort, alice.name), await available(bob.name)]
    frozen.socket.pause()
    for (let i = 0; i < 150; i++) sender.write(chat(bob.name, `${i} ${'x'.repeat(40_000)}`))
    await sender.ping()
    const isAlone = async () => (await metric('xmpp_connections')) === 1
    await eventually(isAlone)
    frozen.destroy()
    const next = await loginClient(broker.xmppPort, bob.name)
    next.write('<presence/>')
    for (let i = 0; i < 150; i++) expect(childText(await next.until('message'), 'body')).toMatch(`${i} x`)
    for (const client of [sender, next]) client.destroy()
  })

  it('has no room for what other devices say, and they are told', async () => {
    const [alice, bob] = [await broker.account('alice'), await broker.account('bob')]
    const [sender, frozen] = [await loginClient(broker.xmppPort, alice.name), await available(bob.name)]
    frozen.socket.pause()
    const version = `<query xmlns='jabber:iq:version'><name>${'x'.repeat(100_000)}</name></query>`
    for (let i = 0; i < 150; i++) sender.write(`<iq type='get' id='${i}' to='${frozen.address}'>${version}</iq>`)
    const refused = await sender.ping()
    expect(refused.length).toBeGreaterThan(0)
    expect(refused.every(({ attrs, children }) => attrs.type === 'error' && children.length === 1)).toBe(true)
    sender.destroy()
    frozen.destroy()
  })

  it('is not read while answers pile up', async () => {
    const alice = await broker.account('alice')
    const client = await loginClient(broker.xmppPort, alice.name)
    client.socket.pause()
    const ask = `<iq type='get' id='${'i'.repeat(1000)}'><ping xmlns='urn:xmpp:ping'/></iq>`
    const before = await metric('xmpp_stanzas_received_total')
    const asked = 30_000
    for (let i = 0; i < asked; i++) client.write(ask)
    await eventually(async () => (await metric('xmpp_connections')) === 0)
    expect((await metric('xmpp_stanzas_received_total')) - before).toBeLessThan(asked)
    client.destroy()
  })
})

describe('the end of a stream', () => {
  it('comes to who does not log in, in time', async () => {
    const client = await connectClient(broker.xmppPort)
    client.openStream()
    expect(await client.streamError()).toBe('connection-timeout')
    const silent = await connectClient(broker.xmppPort)
    expect(await silent.streamError()).toBe('connection-timeout')
  })

  it('comes to who never finishes the TLS handshake', async () => {
    const client = await connectClient(broker.xmppPort)
    client.openStream()
    await client.until('features')
    client.write(`<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>`)
    await client.until('proceed')
    await once(client.socket, 'close')
  })

  it('is told to everyone when the server stops', async () => {
    const other = await startTestBroker()
    const { name } = await other.account('alice')
    const client = await loginClient(other.xmppPort, name)
    const unbound = await connectClient(other.xmppPort)
    const stopped = other.stop()
    expect(await client.streamError()).toBe('system-shutdown')
    expect(await unbound.streamError()).toBe('system-shutdown')
    await stopped
  })
})
