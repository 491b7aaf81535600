// DESIGN §2, §3: presence over MQTT, XMPP and REST is one: who is here, with what, and who may see it.
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { childText } from '../../adapters/xmpp/element.ts'
import { startTestBroker, type TestBroker } from '../helpers/broker.ts'
import { befriend, presenceFrom, say } from '../helpers/contacts.ts'
import { eventually } from '../helpers/eventually.ts'
import { loginRaw, type RawMqtt, type ServerPublish } from '../helpers/mqtt-raw.ts'
import { logIn } from '../helpers/rest.ts'
import { loginClient } from '../script/xmpp-client.ts'

type Account = Readonly<{ name: string; password: string }>

let broker: TestBroker
beforeAll(async () => {
  broker = await startTestBroker()
})
afterAll(() => broker.stop())

const as = ({ name, password }: Account) => ({ username: name, password })
const json = ({ payload }: ServerPublish): unknown => JSON.parse(payload)
const told = (who: Account, show: string, status = '') => ({
  v: 1,
  kind: 'presence',
  from: `${who.name}@localhost`,
  show,
  status,
})
const timed = (who: Account, show: string, status = '') => ({ ...told(who, show, status), ts: expect.any(String) })

async function friends(): Promise<readonly [Account, Account]> {
  const [alice, bob] = [await broker.account('alice'), await broker.account('bob')]
  await befriend(broker, alice, bob)
  return [alice, bob]
}

const setTopic = (who: Account) => `u/${who.name}/presence/set`
const topicOf = (who: Account) => `u/${who.name}/presence`

async function watch(who: Account, filter: string, more = {}): Promise<RawMqtt> {
  const client = await loginRaw(broker.mqttPort, { ...as(who), ...more })
  expect(await client.subscribe([{ filter, qos: 1 }])).toEqual([0])
  return client
}

describe('u/{user}/presence', () => {
  it('shows the current state first, like a retained message, then changes, at QoS 0', async () => {
    const [alice, bob] = await friends()
    const watcher = await watch(bob, topicOf(alice))
    const first = await watcher.expect('publish')
    expect(first).toMatchObject({ topic: topicOf(alice), retain: true, qos: 0 })
    expect(json(first)).toMatchObject(told(alice, 'offline'))
    const phone = await loginClient(broker.xmppPort, alice.name, 'phone')
    phone.write('<presence><show>dnd</show><status>töst</status></presence>')
    const second = await watcher.expect('publish')
    expect(second).toMatchObject({
      retain: false,
      qos: 0,
      properties: { contentType: expect.stringMatching(/clearbox/) },
    })
    expect(json(second)).toEqual(timed(alice, 'dnd', 'töst'))
    phone.destroy()
    expect(json(await watcher.expect('publish'))).toEqual(timed(alice, 'offline'))
  })

  it('is the most available device', async () => {
    const [alice, bob] = await friends()
    const watcher = await watch(bob, topicOf(alice))
    await watcher.expect('publish')
    const [phone, desk] = [
      await loginClient(broker.xmppPort, alice.name, 'phone'),
      await loginClient(broker.xmppPort, alice.name, 'desk'),
    ]
    phone.write('<presence><show>away</show></presence>')
    expect(json(await watcher.expect('publish'))).toEqual(timed(alice, 'away'))
    desk.write('<presence><show>xa</show></presence>')
    await desk.ping()
    desk.write('<presence/>')
    expect(json(await watcher.expect('publish'))).toEqual(timed(alice, 'available'))
    await desk.close()
    expect(json(await watcher.expect('publish'))).toEqual(timed(alice, 'away'))
    phone.destroy()
  })

  it('is refused to whoever is not subscribed, like that of nobody; and nobody publishes there', async () => {
    const [alice, bob] = [await broker.account('alice'), await broker.account('bob')]
    const client = await loginRaw(broker.mqttPort, as(bob))
    expect(await client.subscribe([topicOf(alice), 'u/nobody-at-all/presence', topicOf(bob)])).toEqual([0x87, 0x87, 0])
    expect(json(await client.expect('publish'))).toMatchObject(told(bob, 'offline'))
    expect(await client.publish({ topic: topicOf(bob), payload: 'away', qos: 1 })).toMatchObject({ reason: 0x87 })
    expect(await client.publish({ topic: setTopic(alice), payload: 'away', qos: 1 })).toMatchObject({ reason: 0x87 })
  })

  it('of every contact comes through one filter, also of those that come later', async () => {
    const [alice, bob] = await friends()
    const carol = await broker.account('carol')
    const watcher = await watch(bob, 'u/+/presence')
    expect(json(await watcher.expect('publish'))).toMatchObject(told(alice, 'offline'))
    await befriend(broker, carol, bob)
    expect(json(await watcher.expect('publish'))).toMatchObject(told(carol, 'offline'))
    const device = await loginRaw(broker.mqttPort, as(carol))
    await device.publish({ topic: setTopic(carol), payload: 'chat' })
    expect(json(await watcher.expect('publish'))).toEqual(timed(carol, 'chat'))
    await watcher.ping()
  })

  it('ends at once with the right to see it', async () => {
    const [alice, bob] = await friends()
    const device = await loginRaw(broker.mqttPort, as(alice))
    await device.publish({ topic: setTopic(alice), payload: 'away', qos: 1 })
    const watcher = await watch(bob, topicOf(alice))
    expect(json(await watcher.expect('publish'))).toMatchObject(told(alice, 'away'))
    const phone = await loginClient(broker.xmppPort, alice.name)
    say(phone, 'unsubscribed', bob)
    expect(json(await watcher.expect('publish'))).toEqual(told(alice, 'offline'))
    await device.publish({ topic: setTopic(alice), payload: 'dnd', qos: 1 })
    await watcher.ping()
    expect(await watcher.subscribe([topicOf(alice)])).toEqual([0x87])
    phone.destroy()
  })

  it('of a session that was away is how it is when it comes back', async () => {
    const [alice, bob] = await friends()
    const session = { clientId: `watch-${bob.name}`, clean: false, properties: { sessionExpiryInterval: 100 } }
    const first = await watch(bob, 'u/+/presence', session)
    await first.expect('publish')
    await first.leave()
    const device = await loginRaw(broker.mqttPort, as(alice))
    await device.publish({ topic: setTopic(alice), payload: '{"show":"away","status":"tea"}', qos: 1 })
    const second = await loginRaw(broker.mqttPort, { ...as(bob), ...session })
    const shown = await second.expect('publish')
    expect(shown.retain).toBe(true)
    expect(json(shown)).toMatchObject(told(alice, 'away', 'tea'))
    expect(await second.unsubscribe(['u/+/presence'])).toEqual([0])
    await device.leave()
    await second.ping()
  })
})

describe('an MQTT device', () => {
  it('is seen once it follows its own messages, and until it goes', async () => {
    const [alice, bob] = await friends()
    const phone = await loginClient(broker.xmppPort, bob.name)
    phone.write('<presence/>')
    await phone.ping()
    const device = await loginRaw(broker.mqttPort, as(alice))
    await device.subscribe([`u/${alice.name}/text`])
    await device.subscribe([`u/${alice.name}/msg`])
    const here = await presenceFrom(phone, alice)
    expect(here.attrs.from).toMatch(new RegExp(`^${alice.name}@localhost/mqtt-[a-z2-7]{10}$`))
    expect(here).toMatchObject({ attrs: { to: phone.address }, children: [] })
    expect(here.attrs.type).toBeUndefined()
    await device.publish({ topic: setTopic(alice), payload: '{"show":"xa","status":"<&>"}', qos: 1 })
    const away = await presenceFrom(phone, alice)
    expect([childText(away, 'show'), childText(away, 'status')]).toEqual(['xa', '<&>'])
    await device.leave()
    expect((await presenceFrom(phone, alice)).attrs).toMatchObject({ type: 'unavailable', from: here.attrs.from })
    phone.destroy()
  })

  it('is there for who logs in later, for the account’s own resources too, and goes with its subscription', async () => {
    const [alice, bob] = await friends()
    const device = await loginRaw(broker.mqttPort, as(alice))
    await device.subscribe([`u/${alice.name}/msg`])
    for (const who of [bob, alice]) {
      const phone = await loginClient(broker.xmppPort, who.name)
      phone.write('<presence/>')
      expect((await presenceFrom(phone, alice)).attrs.from).toMatch(/\/mqtt-/)
      phone.destroy()
    }
    const phone = await loginClient(broker.xmppPort, bob.name)
    phone.write('<presence/>')
    await presenceFrom(phone, alice)
    await device.unsubscribe([`u/${alice.name}/msg`])
    expect((await presenceFrom(phone, alice)).attrs.type).toBe('unavailable')
    phone.destroy()
  })

  it.each([
    ['nonsense', 0x99],
    ['', 0x99],
    ['{"show":"gone"}', 0x99],
    ['{"status":5}', 0x99],
    ['[]', 0x99],
    [' away ', 0],
    ['{"status":"only words"}', 0],
    ['offline', 0],
  ])('says how it is: %j is answered with %i', async (payload, reason) => {
    const alice = await broker.account('alice')
    const device = await loginRaw(broker.mqttPort, as(alice))
    expect(await device.publish({ topic: setTopic(alice), payload, qos: 1 })).toMatchObject({ reason })
  })

  it('has last words by its Will, which is checked at CONNECT', async () => {
    const [alice, bob] = await friends()
    const will = (payload: string, topic = setTopic(alice)) => ({ ...as(alice), will: { topic, payload } })
    const refusal = async (payload: string, topic?: string) => {
      const client = await loginRaw(broker.mqttPort, will(payload, topic)).catch((fault: Error) => fault.message)
      return typeof client === 'string' ? client : 'accepted'
    }
    expect(await refusal('nonsense')).not.toBe('accepted')
    expect(await refusal('away', setTopic(bob))).not.toBe('accepted')
    const device = await loginRaw(broker.mqttPort, will('{"show":"away","status":"lost"}'))
    await device.publish({ topic: setTopic(alice), payload: 'available', qos: 1 })
    const watcher = await watch(bob, topicOf(alice))
    await watcher.expect('publish')
    await device.break()
    expect(json(await watcher.expect('publish'))).toEqual(timed(alice, 'offline', 'lost'))
  })

  it('stays one device through a takeover', async () => {
    const [alice, bob] = await friends()
    const session = { ...as(alice), clientId: `d-${alice.name}` }
    const first = await loginRaw(broker.mqttPort, session)
    await first.publish({ topic: setTopic(alice), payload: 'away', qos: 1 })
    const second = await loginRaw(broker.mqttPort, session)
    await second.publish({ topic: setTopic(alice), payload: 'dnd', qos: 1 })
    await first.ended()
    const watcher = await watch(bob, topicOf(alice))
    expect(json(await watcher.expect('publish'))).toMatchObject(told(alice, 'dnd'))
    await second.leave()
    expect(json(await watcher.expect('publish'))).toMatchObject(told(alice, 'offline'))
  })
})

describe('GET /v1/users/{user}/status', () => {
  it('tells contacts and oneself how it is, and since when', async () => {
    const [alice, bob] = await friends()
    const asBob = await logIn(broker.http, bob)
    const path = `/v1/users/${alice.name}/status`
    const seen = (await asBob.get(path)).json
    expect(seen).toMatchObject({ show: 'offline', status: '' })
    const device = await loginRaw(broker.mqttPort, as(alice))
    await device.publish({ topic: setTopic(alice), payload: '{"show":"dnd","status":"at work"}', qos: 1 })
    const expected = { show: 'dnd', status: 'at work', since: expect.stringMatching(/Z$/) }
    expect((await asBob.get(path)).json).toEqual(expected)
    const asAlice = await logIn(broker.http, alice)
    expect((await asAlice.get(`/v1/users/${alice.name.toUpperCase()}@localhost/status`)).json).toEqual(expected)
    await device.leave()
    await eventually(async () => (await asBob.get(path)).json.show === 'offline')
    const gone = { show: 'offline', status: '', lastSeen: expect.stringMatching(/Z$/) }
    expect((await asBob.get(path)).json).toEqual(gone)
  })

  it('is refused to others, whether there is such a user or not', async () => {
    const [alice, bob] = [await broker.account('alice'), await broker.account('bob')]
    const rest = await logIn(broker.http, bob)
    const answers = [
      await rest.get(`/v1/users/${alice.name}/status`),
      await rest.get('/v1/users/nobody-at-all/status'),
      await rest.get('/v1/users/a%20b/status'),
      await rest.get('/v1/users/x@elsewhere.example/status'),
    ]
    for (const { status, json } of answers) {
      expect(status).toBe(403)
      expect(json).toEqual({ ...answers[0]?.json, type: 'urn:problem-type:clearbox:forbidden' })
    }
  })
})

it('what was agreed is kept: after a restart contacts see each other without asking again', async () => {
  const own = await startTestBroker()
  const [alice, bob] = [await own.account('alice'), await own.account('bob')]
  await befriend(own, alice, bob)
  const again = await own.restart()
  const [one, other] = [await loginClient(again.xmppPort, alice.name), await loginClient(again.xmppPort, bob.name)]
  one.write('<presence/>')
  await one.ping()
  other.write('<presence/>')
  expect((await presenceFrom(other, alice)).attrs.type).toBeUndefined()
  expect((await presenceFrom(one, bob)).attrs.type).toBeUndefined()
  for (const client of [one, other]) client.destroy()
  await again.stop()
})
