// XEP-0077: making an account, and what its owner may do with it.
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { childOf, type Element, elementsOf } from '../../adapters/xmpp/element.ts'
import { createLogger } from '../../broker/log.ts'
import { createRegistrar } from '../../broker/registrar.ts'
import { startTestBroker, type TestBroker } from '../helpers/broker.ts'
import { befriend, presenceFrom } from '../helpers/contacts.ts'
import { eventually } from '../helpers/eventually.ts'
import { createRest } from '../helpers/rest.ts'
import { someMessage } from '../helpers/store.ts'
import { connectClient, domain, loginClient, type XmppClient } from './xmpp-client.ts'

const ns = 'jabber:iq:register'

let broker: TestBroker
beforeAll(async () => {
  broker = await startTestBroker({ env: { CLEARBOX_REGISTRATION: 'open' } })
})
afterAll(() => broker.stop())

/** Before its login; the stream's features with it. */
async function stranger(port = broker.xmppPort): Promise<Readonly<{ client: XmppClient; features: Element }>> {
  const client = await connectClient(port)
  await client.startTls()
  client.openStream()
  return { client, features: await client.until('features') }
}

function words(name: string, password: string): string {
  return `<username>${name}</username><password>${password}</password>`
}

/** 'result', or the condition of the error. */
async function request(client: XmppClient, children: string, type = 'set'): Promise<string> {
  client.write(`<iq type='${type}' id='r'><query xmlns='${ns}'>${children}</query></iq>`)
  const answer = await client.until('iq')
  const error = childOf(answer, 'error')
  return error === undefined ? 'result' : (elementsOf(error)[0]?.name ?? '')
}

let names = 0
const freshName = () => `new${++names}-${Math.random().toString(36).slice(2)}`

describe('a registration', () => {
  it('is offered over TLS only, and says what it wants', async () => {
    const plain = await connectClient(broker.xmppPort)
    plain.openStream()
    const before = await plain.until('features')
    expect(childOf(before, 'register', 'http://jabber.org/features/iq-register')).toBeUndefined()
    expect(await request(plain, words(freshName(), 'secret-1'))).toBe('not-allowed')
    plain.destroy()
    const { client, features } = await stranger()
    expect(childOf(features, 'register', 'http://jabber.org/features/iq-register')).toBeDefined()
    client.write(`<iq type='get' id='g' to='${domain}'><query xmlns='${ns}'/></iq>`)
    const query = childOf(await client.until('iq'), 'query', ns)
    expect(query && elementsOf(query).map(({ name }) => name)).toEqual(['instructions', 'username', 'password'])
    client.destroy()
  })

  it('makes an account that can log in on the same stream, and may use no plain topics', async () => {
    const { client } = await stranger()
    const name = freshName()
    expect(await request(client, words(name.toUpperCase(), 'secret-1'))).toBe('result')
    client.write(
      `<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>${Buffer.from(`\0${name}\0secret-1`).toString('base64')}</auth>`,
    )
    expect((await client.element()).name).toBe('success')
    expect(await broker.store.accounts.byName(name)).toMatchObject({ role: 'user', plainTopics: 'none' })
    client.destroy()
  })

  it('is refused for names that are taken, names and passwords that none can have, and missing words', async () => {
    const { client } = await stranger()
    const { name } = await broker.account('taken')
    expect(await request(client, words(name, 'secret-1'))).toBe('conflict')
    expect(await request(client, words(name.toUpperCase(), 'secret-1'))).toBe('conflict')
    expect(await request(client, words('admin', 'secret-1'))).toBe('conflict')
    for (const bad of ['a b', 'a/b', '@', `x@elsewhere.org`, 'x'.repeat(2000)]) {
      expect(await request(client, words(bad, 'secret-1'))).toBe('not-acceptable')
    }
    expect(await request(client, words(freshName(), 'x'.repeat(2000)))).toBe('not-acceptable')
    expect(await request(client, `<username>${freshName()}</username>`)).toBe('not-acceptable')
    expect(await request(client, '<remove/>')).toBe('registration-required')
    client.destroy()
  })

  it('is neither offered nor done when it is off', async () => {
    const closed = await startTestBroker()
    const { client, features } = await stranger(closed.xmppPort)
    expect(childOf(features, 'register', 'http://jabber.org/features/iq-register')).toBeUndefined()
    expect(await request(client, words('someone', 'secret-1'))).toBe('not-allowed')
    expect(await closed.store.accounts.byName('someone')).toBeNull()
    client.destroy()
    await closed.stop()
  })
})

describe('one address', () => {
  it('makes five accounts an hour; loopback is exempt', async () => {
    let clock = 0
    const { accounts } = broker.store
    const registrar = createRegistrar({
      accounts,
      domain,
      events: { record: () => undefined },
      logger: createLogger('silent'),
      now: () => clock,
    })
    const create = (address: string) => registrar.create(freshName(), 'secret-1', { border: 'xmpp', address })
    for (let i = 0; i < 7; i++) {
      expect(await create('127.0.0.1')).toBe('created')
      expect(await create('203.0.113.9')).toBe(i < 5 ? 'created' : 'throttled')
      expect(await create(`2001:db8:0:1::${i}`)).toBe(i < 5 ? 'created' : 'throttled')
    }
    expect(await create('203.0.113.10')).toBe('created')
    clock += 3_600_000
    expect(await create('203.0.113.9')).toBe('created')
  })
})

describe('the owner of an account', () => {
  it('sees that it is registered', async () => {
    const { name } = await broker.account('owner')
    const client = await loginClient(broker.xmppPort, name)
    client.write(`<iq type='get' id='g'><query xmlns='${ns}'/></iq>`)
    const query = childOf(await client.until('iq'), 'query', ns)
    expect(query && elementsOf(query).map((child) => child.name)).toEqual(['registered', 'username', 'password'])
    client.destroy()
  })

  it('changes its password and no other; connections with the old one end', async () => {
    const [{ name }, other] = [await broker.account('owner'), await broker.account('other')]
    const client = await loginClient(broker.xmppPort, name)
    expect(await request(client, words(other.name, 'secret-2'))).toBe('not-allowed')
    expect(await request(client, words(name, '\t'))).toBe('not-acceptable')
    expect(await request(client, words(name, 'secret-2'))).toBe('result')
    expect(await client.streamError()).toBe('reset')
    const rest = createRest(broker.http)
    const login = (password: string) => rest.post('/v1/auth/login', { username: name, password })
    expect((await login('secret-2')).status).toBe(200)
    expect((await login(`${name}-pw`)).status).toBe(401)
  })

  it('cancels it: connections end, and nobody can write to it', async () => {
    const [{ name }, other] = [await broker.account('owner'), await broker.account('other')]
    const [client, writer] = [await loginClient(broker.xmppPort, name), await loginClient(broker.xmppPort, other.name)]
    writer.write(`<message to='${name}@${domain}' type='chat'><body>hi</body></message>`)
    expect(await writer.ping()).toEqual([])
    const desk = await loginClient(broker.xmppPort, name)
    expect(await request(client, `<remove/>${words(name, 'secret-2')}`)).toBe('bad-request')
    expect(await broker.store.accounts.byName(name)).not.toBeNull()
    expect(await request(client, '<remove/>')).toBe('result')
    expect(await client.streamError()).toBe('not-authorized') // §3.2
    expect(await desk.streamError()).toBe('not-authorized')
    expect(await broker.store.accounts.byName(name)).toBeNull()
    writer.write(`<message to='${name}@${domain}' type='chat'><body>gone?</body></message>`)
    expect((await writer.ping()).map(({ attrs }) => attrs.type)).toEqual(['error'])
    writer.destroy()
  })

  it('has its answer however much it leaves behind', async () => {
    const [{ name }, other] = [await broker.account('owner'), await broker.account('other')]
    const [owner, peer] = [await broker.store.accounts.byName(name), await broker.store.accounts.byName(other.name)]
    const message = () => someMessage(owner?.id ?? 0, peer?.id ?? 0)
    for (let i = 0; i < 4; i++) await broker.store.archive.append(Array.from({ length: 5000 }, message))
    const client = await loginClient(broker.xmppPort, name)
    expect(await request(client, '<remove/>')).toBe('result')
    expect(await client.streamError()).toBe('not-authorized')
    await eventually(async () => (await broker.store.archive.read(owner?.id ?? 0, 0, 1)).length === 0)
  })
})

describe('the contacts of an account that is deleted (RFC 6121 §2.1.6)', () => {
  it.each(['by its owner', 'by another process'])('%s are told as if it had ended all subscriptions', async (who) => {
    const [gone, friend] = [await broker.account('gone'), await broker.account('friend')]
    await befriend(broker, gone, friend)
    const watcher = await loginClient(broker.xmppPort, friend.name)
    watcher.write(`<iq type='get' id='r'><query xmlns='jabber:iq:roster' ver=''/></iq><presence/>`)
    await watcher.until('presence')
    const client = await loginClient(broker.xmppPort, gone.name, 'phone')
    client.write('<presence/>')
    expect((await presenceFrom(watcher, gone)).attrs.type).toBeUndefined()
    if (who === 'by its owner') expect(await request(client, '<remove/>')).toBe('result')
    else await broker.store.accounts.remove(gone.name)
    const types = []
    for (let i = 0; i < 3; i++) types.push((await watcher.until('presence')).attrs.type)
    expect(types).toEqual(['unavailable', 'unsubscribe', 'unsubscribed'])
    const query = childOf(await watcher.until('iq'), 'query', 'jabber:iq:roster')
    expect(query && elementsOf(query)[0]?.attrs).toMatchObject({ jid: `${gone.name}@${domain}`, subscription: 'none' })
    // What was pushed is what the roster is now.
    watcher.write(`<iq type='get' id='again'><query xmlns='jabber:iq:roster' ver='${query?.attrs.ver}'/></iq>`)
    const again = await watcher.until('iq')
    expect([again.attrs.id, again.children]).toEqual(['again', []])
    watcher.destroy()
  })
})
