// DESIGN §2, §3: `u/{me}/evt`: receipts and read markers with QoS 1, typing with QoS 0; over MQTT and XMPP.
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { childOf } from '../../adapters/xmpp/element.ts'
import { startTestBroker, type TestBroker } from '../helpers/broker.ts'
import { befriend } from '../helpers/contacts.ts'
import type { PublishFields } from '../helpers/mqtt-bytes.ts'
import { loginRaw, type RawMqtt, type ServerPublish } from '../helpers/mqtt-raw.ts'
import { loginClient } from '../script/xmpp-client.ts'

type Account = Readonly<{ name: string; password: string }>

let broker: TestBroker
beforeAll(async () => {
  broker = await startTestBroker()
})
afterAll(() => broker.stop())

const as = ({ name, password }: Account) => ({ username: name, password })
const addressOf = ({ name }: Account) => `${name}@localhost`
const json = ({ payload }: ServerPublish) => JSON.parse(payload)
const pair = async () => [await broker.account('alice'), await broker.account('bob')] as const

async function follow(who: Account, streams: readonly string[], more = {}): Promise<RawMqtt> {
  const client = await loginRaw(broker.mqttPort, { ...as(who), ...more })
  const codes = await client.subscribe(streams.map((stream) => `u/${who.name}/${stream}`))
  expect(codes).toEqual(streams.map(() => 1))
  return client
}
const persistent = (clientId: string) => ({ clientId, clean: false, properties: { sessionExpiryInterval: 600 } })

/** Publishes to the door of `to`; answers the server's id. */
async function send(client: RawMqtt, to: Account, payload: string | object, more: Partial<PublishFields> = {}) {
  const text = typeof payload === 'string' ? payload : JSON.stringify({ v: 1, ...payload })
  const answer = await client.publish({ topic: `u/${to.name}/in`, payload: text, qos: 1, ...more })
  const id = answer?.properties.userProperties?.find(([key]) => key === 'cb-id')?.[1] ?? ''
  return { id, reason: answer?.reason ?? 0 }
}

/** Alice has sent these; they were never delivered to a chat device. */
async function sent(alice: Account, bob: Account, texts: readonly string[]): Promise<string[]> {
  const client = await loginRaw(broker.mqttPort, as(alice))
  const ids: string[] = []
  for (const text of texts) ids.push((await send(client, bob, text)).id)
  await client.leave()
  return ids
}

describe('a read marker', () => {
  it('reaches the sender of the message and the reader’s other devices, with QoS 1, once stored', async () => {
    const [alice, bob] = await pair()
    const [ref = ''] = await sent(alice, bob, ['hi'])
    const [hers, his] = [await follow(alice, ['evt']), await follow(bob, ['#', 'evt'])]
    const { id, reason } = await send(await loginRaw(broker.mqttPort, as(bob)), alice, { kind: 'marker', ref })
    expect(reason).toBe(0)
    for (const [watcher, owner] of [
      [hers, alice],
      [his, bob],
    ] as const) {
      const packet = await watcher.expect('publish')
      expect(packet).toMatchObject({ topic: `u/${owner.name}/evt`, qos: 1, dup: false, retain: false })
      expect(json(packet)).toEqual({
        ...{ v: 1, kind: 'marker', id, ref, seq: expect.any(String), ts: expect.any(String) },
        ...{ from: addressOf(bob), to: addressOf(alice) },
      })
      await watcher.ping()
    }
  })

  it('is a watermark: an older one says nothing, and who comes later gets the newest first, like a state', async () => {
    const [alice, bob] = await pair()
    const [first = '', second = ''] = await sent(alice, bob, ['1', '2'])
    const reader = await loginRaw(broker.mqttPort, as(bob))
    for (const ref of [second, first]) expect((await send(reader, alice, { kind: 'marker', ref })).reason).toBe(0)
    const late = await follow(alice, ['evt'])
    expect(json(await late.expect('publish'))).toMatchObject({ kind: 'marker', ref: second })
    await late.ping()
  })

  it('comes to a persistent session that was away: of each conversation the newest, and again only if unacknowledged', async () => {
    const [alice, bob] = await pair()
    const carol = await broker.account('carol')
    const [b1 = '', b2 = ''] = await sent(alice, bob, ['1', '2'])
    const [c1 = ''] = await sent(alice, carol, ['1'])
    await (await follow(alice, ['evt'], persistent('phone'))).leave()
    const [his, hers] = [await loginRaw(broker.mqttPort, as(bob)), await loginRaw(broker.mqttPort, as(carol))]
    for (const ref of [b1, b2]) await send(his, alice, { kind: 'marker', ref })
    await send(hers, alice, { kind: 'marker', ref: c1 })
    const phone = await loginRaw(broker.mqttPort, { ...as(alice), ...persistent('phone') })
    const got = await phone.publishes(2)
    expect(got.map((packet) => json(packet).ref)).toEqual([b2, c1])
    phone.ack(got[0] as ServerPublish)
    await phone.ping()
    await phone.leave()
    broker = await broker.restart()
    const again = await loginRaw(broker.mqttPort, { ...as(alice), ...persistent('phone') })
    const packet = await again.expect('publish')
    expect(json(packet)).toMatchObject({ ref: c1 })
    again.ack(packet)
    await again.ping()
    const [b3 = ''] = await sent(alice, bob, ['3'])
    await send(await loginRaw(broker.mqttPort, as(bob)), alice, { kind: 'marker', ref: b3 })
    expect(json(await again.expect('publish'))).toMatchObject({ ref: b3 })
  })

  it.each([
    ['without ref', {}],
    ['that names no message', { ref: 'x' }],
  ])('%s is refused with 0x99', async (_name, fields) => {
    const [alice, bob] = await pair()
    const client = await loginRaw(broker.mqttPort, as(bob))
    expect((await send(client, alice, { kind: 'marker', ...fields })).reason).toBe(0x99)
  })

  it('for a message of another conversation, or one’s own, is refused with 0x99; for nobody with 0x87', async () => {
    const [alice, bob] = await pair()
    const carol = await broker.account('carol')
    const [ref = ''] = await sent(alice, bob, ['hi'])
    const reasons: number[] = []
    for (const [who, to] of [
      [carol, alice],
      [alice, bob],
      [bob, carol],
      [bob, { name: 'nobody-here', password: '' }],
    ] as const)
      reasons.push((await send(await loginRaw(broker.mqttPort, as(who)), to, { kind: 'marker', ref })).reason)
    expect(reasons).toEqual([0x99, 0x99, 0x99, 0x87])
  })
})

describe('typing', () => {
  it('reaches who follows now, with QoS 0, its state with it, and is never stored', async () => {
    const [alice, bob] = await pair()
    const watcher = await follow(bob, ['#'])
    const own = await follow(alice, ['evt'])
    const client = await loginRaw(broker.mqttPort, as(alice))
    await send(client, bob, { kind: 'typing' })
    const packet = await watcher.expect('publish')
    expect(packet).toMatchObject({ topic: `u/${bob.name}/evt`, qos: 0 })
    const { id: _id, ts: _ts, ...said } = json(packet)
    expect(said).toEqual({ v: 1, kind: 'typing', from: addressOf(alice), to: addressOf(bob) })
    await send(client, bob, { kind: 'typing', data: { state: 'paused' } })
    expect(json(await watcher.expect('publish'))).toMatchObject({ kind: 'typing', data: { state: 'paused' } })
    expect((await send(client, bob, { kind: 'typing', data: { state: 'flying' } })).reason).toBe(0x99)
    await own.ping()
    await (await follow(bob, ['evt'])).ping()
  })
})

describe('the delivery receipt (DESIGN §3)', () => {
  it('is the first chat device’s PUBACK on msg, for a sender who may see the receiver’s presence', async () => {
    const [alice, bob] = await pair()
    await befriend(broker, alice, bob)
    const watcher = await follow(alice, ['evt'])
    const [phone, tablet] = [await follow(bob, ['msg']), await follow(bob, ['msg'])]
    const { id } = await send(await loginRaw(broker.mqttPort, as(alice)), bob, 'hi')
    await watcher.ping()
    phone.ack(await phone.expect('publish'))
    const packet = await watcher.expect('publish')
    expect(packet).toMatchObject({ topic: `u/${alice.name}/evt`, qos: 1 })
    expect(json(packet)).toMatchObject({ kind: 'receipt', ref: id, from: addressOf(bob), to: addressOf(alice) })
    tablet.ack(await tablet.expect('publish'))
    await tablet.ping()
    await (await follow(bob, ['evt'])).ping()
    await watcher.ping()
  })

  it('is not sent to a stranger', async () => {
    const [alice, bob] = await pair()
    const watcher = await follow(alice, ['evt'])
    const phone = await follow(bob, ['msg'])
    const client = await loginRaw(broker.mqttPort, as(alice))
    const { id: ref } = await send(client, bob, 'hi')
    phone.ack(await phone.expect('publish'))
    await phone.ping()
    // A marker of the same device stands for all that could have come before it.
    await send(phone, alice, { kind: 'marker', ref })
    expect(json(await watcher.expect('publish'))).toMatchObject({ kind: 'marker' })
    await watcher.ping()
  })
})

describe('between MQTT and XMPP', () => {
  it('receipts (0184), markers (0333) and chat states (0085) of XMPP come to evt by the server’s id', async () => {
    const [alice, bob] = await pair()
    const [ref = ''] = await sent(alice, bob, ['hi'])
    const watcher = await follow(alice, ['evt'])
    const xmpp = await loginClient(broker.xmppPort, bob.name, 'desk')
    xmpp.write('<presence/>')
    const { id: xid } = (await xmpp.until('message')).attrs
    const say = (child: string) => xmpp.write(`<message to='${addressOf(alice)}' type='chat'>${child}</message>`)
    say(`<composing xmlns='http://jabber.org/protocol/chatstates'/>`)
    expect(json(await watcher.expect('publish'))).toMatchObject({ kind: 'typing', from: addressOf(bob) })
    say(`<paused xmlns='http://jabber.org/protocol/chatstates'/>`)
    expect(json(await watcher.expect('publish'))).toMatchObject({ kind: 'typing', data: { state: 'paused' } })
    say(`<received xmlns='urn:xmpp:receipts' id='${xid}'/>`)
    expect(json(await watcher.expect('publish'))).toMatchObject({ kind: 'receipt', ref, from: addressOf(bob) })
    say(`<displayed xmlns='urn:xmpp:chat-markers:0' id='${xid}'/><store xmlns='urn:xmpp:hints'/>`)
    expect(json(await watcher.expect('publish'))).toMatchObject({ kind: 'marker', ref })
    say(`<displayed xmlns='urn:xmpp:chat-markers:0' id='unknown'/>`)
    await xmpp.ping()
    await watcher.ping()
  })

  it('what MQTT says of a message from XMPP names it by its XMPP id there', async () => {
    const [alice, bob] = await pair()
    const xmpp = await loginClient(broker.xmppPort, alice.name, 'desk')
    xmpp.write('<presence/>')
    await xmpp.ping()
    const phone = await follow(bob, ['msg'])
    xmpp.write(`<message to='${addressOf(bob)}' type='chat' id='m1'><body>hi</body></message>`)
    const { id: ref } = json(await phone.expect('publish'))
    await send(phone, alice, { kind: 'typing' })
    const typing = await xmpp.until('message')
    expect(typing.attrs.type).toBe('chat')
    expect(childOf(typing, 'composing', 'http://jabber.org/protocol/chatstates')).toBeDefined()
    await send(phone, alice, { kind: 'receipt', ref })
    expect(childOf(await xmpp.until('message'), 'received', 'urn:xmpp:receipts')?.attrs.id).toBe('m1')
    await send(phone, alice, { kind: 'marker', ref })
    expect(childOf(await xmpp.until('message'), 'displayed', 'urn:xmpp:chat-markers:0')?.attrs.id).toBe('m1')
  })
})
