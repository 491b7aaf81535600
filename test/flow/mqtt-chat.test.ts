// Doors and streams over MQTT (DESIGN §2, §4, §5).
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { startTestBroker, type TestBroker } from '../helpers/broker.ts'
import { eventually } from '../helpers/eventually.ts'
import type { ConnectFields, PublishFields } from '../helpers/mqtt-bytes.ts'
import { loginRaw, type RawMqtt, type ServerPublish } from '../helpers/mqtt-raw.ts'

type Account = Readonly<{ name: string; password: string }>

let broker: TestBroker
beforeAll(async () => {
  broker = await startTestBroker()
})
afterAll(() => broker.stop())

const login = ({ name, password }: Account, fields: ConnectFields = {}, on = broker) =>
  loginRaw(on.mqttPort, { username: name, password, ...fields })
const persistent = (clientId: string) =>
  ({ clientId, clean: false, properties: { sessionExpiryInterval: 1000 } }) satisfies ConnectFields
const json = (packet: ServerPublish) => JSON.parse(packet.payload)
const userProperty = (packet: Pick<ServerPublish, 'properties'>, key: string) =>
  packet.properties.userProperties?.find(([name]) => name === key)?.[1]

/** Two accounts; bob follows `filters`. */
async function pair(filters: readonly string[] = ['msg']) {
  const [alice, bob] = [await broker.account('a'), await broker.account('b')]
  const [sender, receiver] = [await login(alice), await login(bob)]
  receiver.autoAck = true
  for (const view of filters) expect(await receiver.subscribe([`u/${bob.name}/${view}`])).toEqual([1])
  const say = (payload: string, fields: Partial<PublishFields> = {}) =>
    sender.publish({ topic: `u/${bob.name}/in`, payload, qos: 1, ...fields })
  return { alice, bob, sender, receiver, say }
}

describe('streams', () => {
  it('msg is canonical JSON, text a line to read; MQTT 5 gets the ids as properties, too (DESIGN §2, §4)', async () => {
    const { alice, bob, receiver, say } = await pair(['msg', 'text'])
    await say('hi bob')
    const got = await receiver.publishes(2)
    const msg = got.find(({ topic }) => topic === `u/${bob.name}/msg`)
    const text = got.find(({ topic }) => topic === `u/${bob.name}/text`)
    if (!msg || !text) throw new Error('both streams are expected')
    const envelope = json(msg)
    expect(envelope).toMatchObject({
      v: 1,
      kind: 'message',
      from: `${alice.name}@localhost`,
      to: `${bob.name}@localhost`,
      text: 'hi bob',
      seq: '1',
    })
    expect(envelope).not.toHaveProperty('dev')
    expect(msg.properties.contentType).toBe('application/vnd.clearbox+json; v=1')
    expect(Object.fromEntries(msg.properties.userProperties ?? [])).toEqual({
      'cb-id': envelope.id,
      'cb-from': envelope.from,
      'cb-ts': envelope.ts,
      'cb-kind': 'message',
    })
    expect(text.payload).toBe(`${alice.name}: hi bob`)
  })

  it('PUBACK has the id of msg, of sent and of REST; dev is shown to the sender alone', async () => {
    const { alice, bob, receiver, say } = await pair()
    const own = await login(alice)
    await own.subscribe([`u/${alice.name}/sent`])
    const puback = await say('one id')
    const id = puback && userProperty(puback, 'cb-id')
    expect(id).toBeTruthy()
    const sent = json(await own.expect('publish'))
    expect(sent).toMatchObject({ id, text: 'one id', to: `${bob.name}@localhost` })
    expect(sent.dev).toBeTruthy()
    expect(json(await receiver.expect('publish')).id).toBe(id)
    const token = await fetch(`${broker.http}/v1/auth/login`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ username: bob.name, password: bob.password }),
    }).then(async (answer) => (await answer.json()) as { accessToken: string })
    const history = (await (
      await fetch(`${broker.http}/v1/history?with=${alice.name}`, {
        headers: { authorization: `Bearer ${token.accessToken}` },
      })
    ).json()) as { items: { id: string }[] }
    expect(history.items.map((item) => item.id)).toEqual([id])
  })

  it.each(['#', '+'])('u/me/%s is msg, sent, evt and err, once although it overlaps, never text', async (wildcard) => {
    const { receiver, bob, say } = await pair([wildcard, 'msg', 'sent', 'err'])
    await say('one')
    expect((await receiver.expect('publish')).topic).toBe(`u/${bob.name}/msg`)
    await receiver.ping()
    await receiver.unsubscribe([`u/${bob.name}/msg`])
    await say('two')
    expect((await receiver.expect('publish')).topic).toBe(`u/${bob.name}/msg`)
    await receiver.unsubscribe([`u/${bob.name}/${wildcard}`])
    await say('three')
    await receiver.ping()
  })

  it.each([4, 5] as const)('of others, doors and misspelt names are refused at level %i', async (level) => {
    const [me, other] = [await broker.account('me'), await broker.account('ö/')]
    const client = await login(me, { level })
    const filters = [
      [`u/${other.name}/msg`, 0x87],
      [`u/${me.name}/in`, 0x87],
      ['u/+/msg', 0x87],
      ['u/#', 0x87],
      ['g/x/msg', 0x87],
      ['cb/v1/#', 0x87],
      [`u/${me.name}/msg/x`, 0x87],
      [`u/${me.name}`, 0x87],
      [`u/${me.name.toUpperCase()}/msg`, 0x8f],
      [`u/${me.name}@localhost/msg`, 0x8f],
      [`$share/x/u/${me.name}/msg`, 0x9e],
    ] as const
    const codes = await client.subscribe(filters.map(([filter]) => filter))
    expect(codes).toEqual(filters.map(([, code]) => (level === 5 ? code : 0x80)))
  })

  it('a name that needs it is percent-encoded, in one spelling only', async () => {
    const odd = await broker.account('50%+#')
    const client = await login(odd)
    const level = odd.name.replace('%', '%25').replace('+', '%2B').replace('#', '%23')
    const lower = level.replace('%2B', '%2b')
    expect(await client.subscribe([`u/${level}/msg`, `u/${lower}/msg`, `u/${level.replace('5', '%35')}/msg`])).toEqual([
      1, 0x8f, 0x8f,
    ])
    const sender = await login(await broker.account())
    expect(await sender.publish({ topic: `u/${level}/in`, payload: 'hi', qos: 1 })).toMatchObject({ reason: 0 })
    expect(await client.expect('publish')).toMatchObject({ topic: `u/${level}/msg` })
  })

  it('the filter # sees no chat, and neither does + (DESIGN §2)', async () => {
    const { bob, say } = await pair()
    const spy = await login(bob)
    await spy.subscribe(['#', '+/+/+'])
    await say('secret')
    await spy.ping()
  })

  it('the first SUBSCRIBE starts at the head; a second one repeats nothing', async () => {
    const { bob, receiver, say } = await pair([])
    await say('before')
    await receiver.subscribe([`u/${bob.name}/msg`])
    await receiver.ping()
    await say('after')
    expect(json(await receiver.expect('publish')).text).toBe('after')
    await receiver.subscribe([`u/${bob.name}/msg`])
    await receiver.ping()
  })

  it('a persistent session resumes where it had acknowledged: offline, in flight, after a restart (DESIGN §5)', async () => {
    let other = await startTestBroker()
    const [alice, bob] = [await other.account('a'), await other.account('b')]
    const say = async (...texts: string[]) => {
      const sender = await login(alice, {}, other)
      for (const payload of texts) await sender.publish({ topic: `u/${bob.name}/in`, payload, qos: 1 })
      await sender.leave()
    }
    const texts = async (client: RawMqtt, count: number) => (await client.publishes(count)).map((one) => json(one).text)
    const first = await login(bob, persistent('phone'), other)
    await first.subscribe([`u/${bob.name}/msg`])
    await say('1', '2', '3')
    const got = await first.publishes(3)
    if (got[0]) first.ack(got[0])
    await first.ping()
    await first.leave()
    await say('4')
    const second = await login(bob, persistent('phone'), other)
    const again = await second.publishes(3)
    expect(again.map((one) => [json(one).text, one.dup])).toEqual([
      ['2', true],
      ['3', true],
      ['4', false],
    ])
    for (const one of again.slice(0, 2)) second.ack(one)
    await second.ping()
    await second.leave()
    await say('5')
    other = await other.restart()
    const third = await login(bob, persistent('phone'), other)
    third.autoAck = true
    expect(await texts(third, 2)).toEqual(['4', '5'])
    await say('6')
    expect(await texts(third, 1)).toEqual(['6'])
    await third.ping()
    await other.stop()
  })

  it('QoS 0 on a stream is granted, and delivers (DESIGN §5)', async () => {
    const { bob, receiver, say } = await pair([])
    expect(await receiver.subscribe([{ filter: `u/${bob.name}/text`, qos: 0 }])).toEqual([0])
    await say('hi')
    expect(await receiver.expect('publish')).toMatchObject({ qos: 0 })
  })

  it('a slow follower gets all in order while more keeps coming', async () => {
    const { bob, sender } = await pair([])
    const reader = await login(bob, {
      ...persistent('slow'),
      properties: { sessionExpiryInterval: 10, receiveMaximum: 3 },
    })
    await reader.subscribe([`u/${bob.name}/msg`])
    const sending = (async () => {
      for (let i = 0; i < 300; i++) await sender.publish({ topic: `u/${bob.name}/in`, payload: `${i}`, qos: 1 })
    })()
    for (let i = 0; i < 300; i++) {
      const packet = await reader.expect('publish')
      expect(json(packet).text).toBe(`${i}`)
      reader.ack(packet)
    }
    await sending
    await reader.ping()
  })
})

describe('doors', () => {
  it.each([4, 5] as const)('refuse a receiver that does not exist, and a stream, alike at level %i', async (level) => {
    const alice = await broker.account('a')
    const client = await login(alice, { level })
    const watcher = await login(alice)
    await watcher.subscribe([`u/${alice.name}/err`])
    for (const topic of ['u/no-such-account/in', `u/${alice.name}/msg`, 'u/x/y/z', 'g/x/in', 'cb/v1/rpc/x']) {
      const puback = await client.publish({ topic, payload: 'x', qos: 1 })
      expect(puback).toMatchObject({ reason: level === 5 ? 0x87 : 0 })
      // 3.1.1 has no refusal: the ack, and a word on err (DESIGN §1).
      if (level === 4) expect(json(await watcher.expect('publish'))).toMatchObject({ v: 1, kind: 'error', topic })
      else await watcher.ping()
    }
    await client.publish({ topic: 'u/no-such-account/in', payload: 'x', qos: 0 })
    await client.publish({ topic: 'plain', payload: 'x', qos: 0 })
    expect(json(await watcher.expect('publish'))).toMatchObject({ code: 'refused', topic: 'u/no-such-account/in' })
  })

  it('refuse misspelt names with 0x90 (DESIGN §2)', async () => {
    const { bob, sender } = await pair()
    for (const topic of [`u/${bob.name.toUpperCase()}/in`, `u/${bob.name}@localhost/in`, 'u//in', 'u/a%20b/in'])
      expect(await sender.publish({ topic, payload: 'x', qos: 1 })).toMatchObject({ reason: 0x90 })
  })

  it('take an envelope by its content type or by v and kind, and text otherwise (DESIGN §2)', async () => {
    const { receiver, say } = await pair()
    const type = 'application/vnd.clearbox+json'
    for (const [payload, contentType, expected] of [
      ['{"v":1,"kind":"message","text":"a","thread":"t"}', undefined, { text: 'a', thread: 't' }],
      ['{"text":"b"}', type, { text: 'b' }],
      ['{"text":"c"}', `${type}; v=1`, { text: 'c' }],
      ['{"v":1,"kind":"message","data":{"x":[1]}}', undefined, { data: { x: [1] } }],
      ['{"v":1,"kind":"message","text":"d"}', 'text/plain', { text: '{"v":1,"kind":"message","text":"d"}' }],
      ['{"temperature":21}', undefined, { text: '{"temperature":21}' }],
      ['{"v":2,"kind":"message"}', undefined, { text: '{"v":2,"kind":"message"}' }],
      ['{"v":1,"kind":"strange"}', undefined, { text: '{"v":1,"kind":"strange"}' }],
      ['{not json', undefined, { text: '{not json' }],
      ['grüße 😀', undefined, { text: 'grüße 😀' }],
    ] as const) {
      const puback = await say(payload, contentType ? { properties: { contentType } } : {})
      expect(puback).toMatchObject({ reason: 0 })
      expect(json(await receiver.expect('publish'))).toMatchObject(expected)
    }
  })

  it.each([
    ['a schema error', '{"v":1,"kind":"message","text":7}', 0x99],
    ['an empty envelope', '{"v":1,"kind":"message"}', 0x99],
    ['a kind that may not be sent yet', '{"v":1,"kind":"edit","text":"x","ref":"1"}', 0x99],
    ['NUL', 'a\0b', 0x99],
    ['NUL inside JSON', '{"v":1,"kind":"message","text":"\\u0000"}', 0x99],
    ['invalid UTF-8', Buffer.from([0x68, 0xff]), 0x99],
    ['nothing', '', 0x99],
    ['more than 64 KiB', 'x'.repeat(65_537), 0x97],
  ])('refuse %s', async (_name, payload, reason) => {
    const { sender, bob, receiver } = await pair()
    const puback = await sender.publish({ topic: `u/${bob.name}/in`, payload, qos: 1 })
    expect(puback).toMatchObject({ reason })
    await receiver.ping()
  })

  it('a client cannot set what the broker sets (DESIGN §4)', async () => {
    const { alice, receiver, say } = await pair()
    const forged = {
      v: 1,
      kind: 'message',
      text: 'x',
      from: 'eve@x',
      id: 'mine',
      seq: '99',
      ts: '1970',
      dev: 'd',
      nick: 'n',
    }
    const puback = await say(JSON.stringify(forged))
    const envelope = json(await receiver.expect('publish'))
    expect(envelope).toMatchObject({ from: `${alice.name}@localhost`, seq: '1' })
    expect(envelope.id).toBe(puback && userProperty(puback, 'cb-id'))
    expect(envelope).not.toHaveProperty('dev')
    expect(envelope).not.toHaveProperty('nick')
  })

  it('lines of text cannot be forged, and do not echo (DESIGN §2)', async () => {
    const { alice, bob, receiver, say } = await pair(['text'])
    await say('one\nmallory: two\r\nthree\u2028four\u001b[2J\tend')
    expect((await receiver.expect('publish')).payload).toBe(
      `${alice.name}: one\n  mallory: two\n  three\uFFFDfour\uFFFD[2J\tend`,
    )
    await receiver.publish({ topic: `u/${bob.name}/in`, payload: 'note to myself', qos: 1 })
    await receiver.publish({ topic: `u/${alice.name}/in`, payload: 'hello', qos: 1 })
    await receiver.ping()
  })

  it('a repeat by oid or cb-oid gets the first id and is not delivered again (DESIGN §4)', async () => {
    const { receiver, say } = await pair()
    const other = (await broker.account('c')).name
    const userProperties = (oid: string) => ({ properties: { userProperties: [['cb-oid', oid] as [string, string]] } })
    const idOf = async (sending: ReturnType<typeof say>) => {
      const puback = await sending
      return puback && userProperty(puback, 'cb-id')
    }
    const first = await idOf(say('once', userProperties('k1')))
    expect(await idOf(say('once', userProperties('k1')))).toBe(first)
    expect(await idOf(say('other content', userProperties('k1')))).not.toBe(first)
    const envelope = JSON.stringify({ v: 1, kind: 'message', oid: 'k2', text: 'by envelope' })
    const second = await idOf(say(envelope))
    expect(await idOf(say(envelope))).toBe(second)
    expect(await idOf(say('once', { topic: `u/${other}/in`, ...userProperties('k1') }))).not.toBe(first)
    const got = await receiver.publishes(3)
    expect(got.map((one) => json(one).text)).toEqual(['once', 'other content', 'by envelope'])
    await receiver.ping()
  })

  it('QoS 0 is stored, too: who comes later finds it (DESIGN §2)', async () => {
    const { bob, sender } = await pair([])
    const first = await login(bob, persistent('later'))
    await first.subscribe([`u/${bob.name}/msg`])
    await first.leave()
    await sender.publish({ topic: `u/${bob.name}/in`, payload: 'fire and forget', qos: 0 })
    const second = await login(bob, persistent('later'))
    expect(json(await second.expect('publish')).text).toBe('fire and forget')
  })

  it('RETAIN is ignored, Response Topic and user properties are not passed on (DESIGN §2)', async () => {
    const { bob, receiver, say } = await pair()
    await say('x', {
      retain: true,
      properties: { responseTopic: 'r', correlationData: Buffer.from('c'), userProperties: [['mine', '1']] },
    })
    const got = await receiver.expect('publish')
    expect(got.retain).toBe(false)
    expect(got.properties).not.toHaveProperty('responseTopic')
    expect(got.properties).not.toHaveProperty('correlationData')
    expect(userProperty(got, 'mine')).toBeUndefined()
    const late = await login(bob)
    await late.subscribe([`u/${bob.name}/msg`])
    await late.ping()
  })

  it('a message to oneself is one message: on msg and on sent', async () => {
    const bob = await broker.account('b')
    const [watcher, sender] = [await login(bob), await login(bob)]
    await watcher.subscribe([`u/${bob.name}/#`])
    await sender.publish({ topic: `u/${bob.name}/in`, payload: 'note', qos: 1 })
    const got = await watcher.publishes(2)
    expect(got.map(({ topic }) => topic).toSorted()).toEqual([`u/${bob.name}/msg`, `u/${bob.name}/sent`])
    expect(new Set(got.map((one) => json(one).id)).size).toBe(1)
  })

  it('a message that has expired is not delivered late: ttl, or Message Expiry (DESIGN §2)', async () => {
    const { bob, say } = await pair([])
    const first = await login(bob, persistent('late'))
    await first.subscribe([`u/${bob.name}/msg`])
    await first.leave()
    await say('short', { properties: { messageExpiryInterval: 1 } })
    await say('{"v":1,"kind":"message","text":"also short","ttl":1}')
    await say('long', { properties: { messageExpiryInterval: 100 } })
    await new Promise((resolve) => setTimeout(resolve, 1100))
    const second = await login(bob, persistent('late'))
    expect(json(await second.expect('publish'))).toMatchObject({ text: 'long', ttl: 100 })
    await second.ping()
  })
})

it('an account over its quota is read no faster; nothing is refused or lost (DESIGN §2)', async () => {
  const slow = await startTestBroker({ env: { CLEARBOX_QUOTA_PER_SECOND: '50', CLEARBOX_QUOTA_BURST: '5' } })
  const [alice, bob] = [await slow.account('a'), await slow.account('b')]
  const [sender, receiver] = [await login(alice, {}, slow), await login(bob, {}, slow)]
  await receiver.subscribe([{ filter: `u/${bob.name}/text`, qos: 0 }])
  const began = Date.now()
  for (let i = 0; i < 30; i++) await sender.publish({ topic: `u/${bob.name}/in`, payload: `${i}`, qos: 0 })
  const got = await receiver.publishes(30)
  expect(got.map(({ payload }) => payload)).toEqual(got.map((_, i) => `${alice.name}: ${i}`))
  expect(Date.now() - began).toBeGreaterThan(400)
  await sender.ping()
  await slow.stop()
})

it('an account made a moment ago can be written to at once', async () => {
  const { sender } = await pair()
  const fresh = await broker.account('fresh')
  await eventually(async () => {
    const puback = await sender.publish({ topic: `u/${fresh.name}/in`, payload: 'welcome', qos: 1 })
    return puback?.reason === 0
  }, 100)
})
