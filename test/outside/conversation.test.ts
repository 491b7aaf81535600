// One conversation: alice in slixmpp, bob with Mosquitto's clients, carol with curl; online, then offline.
import { afterAll, beforeAll, expect, it } from 'vitest'
import { eventually } from '../helpers/eventually.ts'
import { passwordOf, type Server, startServer } from '../helpers/process.ts'
import { curl, publish, type Subscriber, subscribe } from './mosquitto.ts'
import { type Device, type DeviceEvent, startSlixmpp } from './xmpp-devices.ts'

let server: Server
let token: string
let alice: Device
let bob: Subscriber
/** Everything bob may see with `#`. */
let everything: Subscriber

/** Ids by text, as each of the three got to know them. */
const told = new Map<string, Set<unknown>>()

function tell(text: string, id: unknown): void {
  told.set(text, (told.get(text) ?? new Set()).add(id))
}

const persistent = ['-i', 'shell', '-c', '-V', 'mqttv5', '-x', '3600']
const subscribeBob = () => subscribe(server, 'bob', ['u/bob/msg', 'u/bob/sent', 'u/bob/text'], persistent)

async function loginAlice(): Promise<Device> {
  const device = startSlixmpp(server.ports.xmpp, { name: 'alice', password: passwordOf('alice') }, 'phone')
  await device.until('online')
  device.say('presence')
  device.say('ping')
  return device
}

beforeAll(async () => {
  server = await startServer()
  for (const name of ['alice', 'bob', 'carol']) await server.addUser(name)
  everything = await subscribe(server, 'bob', ['#'])
  bob = await subscribeBob()
  alice = await loginAlice()
  await alice.until('pong')
  token = await tokenOf('carol')
})
afterAll(async () => {
  await alice.quit()
  await Promise.all([bob.stop(), everything.stop()])
  await server.dispose()
})

async function bobSees(stream: 'msg' | 'sent', text: string): Promise<Record<string, unknown>> {
  const read = ({ text: json }: { text: string }) => JSON.parse(json) as Record<string, unknown>
  const shown = await bob.until((one) => one.topic === `u/bob/${stream}` && read(one).text === text)
  tell(text, read(shown).id)
  return read(shown)
}

async function aliceSees(text: string): Promise<DeviceEvent> {
  const message = await alice.until('message')
  expect(message.body).toBe(text)
  tell(text, message.id)
  return message
}

async function carolSends(to: string, text: string): Promise<void> {
  tell(text, (await curl(`${server.http}/v1/messages`, token, { to, text })).id)
}

async function carolReads(peer: string): Promise<readonly string[]> {
  const { items } = await curl(`${server.http}/v1/history?with=${peer}&limit=50`, token)
  const texts: string[] = []
  for (const { text, id } of items as { text: string; id: string }[]) {
    texts.push(text)
    tell(text, id)
  }
  return texts
}

it('goes in all directions while everybody is online', async () => {
  alice.say('send bob@localhost hi bob')
  expect(await bobSees('msg', 'hi bob')).toMatchObject({ from: 'alice@localhost', to: 'bob@localhost' })
  await bob.until(({ topic, text }) => topic === 'u/bob/text' && text === 'alice: hi bob')

  await publish(server, 'bob', 'u/alice/in', 'hi alice')
  await bobSees('sent', 'hi alice')
  expect(await aliceSees('hi alice')).toMatchObject({ type: 'chat', delay: null })

  await carolSends('bob', 'bob, carol here')
  expect(await bobSees('msg', 'bob, carol here')).toMatchObject({ from: 'carol@localhost' })
  await carolSends('alice', 'alice, carol here')
  expect(await aliceSees('alice, carol here')).toMatchObject({ sender: 'carol@localhost' })

  alice.say('send carol@localhost hi carol, alice')
  alice.say('ping')
  await alice.until('pong')
  await publish(server, 'bob', 'u/carol/in', 'hi carol, bob')
  await bobSees('sent', 'hi carol, bob')
  expect(await carolReads('alice')).toEqual(['alice, carol here', 'hi carol, alice'])
  expect(await carolReads('bob')).toEqual(['bob, carol here', 'hi carol, bob'])
})

it('waits for those who are offline', async () => {
  await alice.quit()
  await bob.stop()
  await publish(server, 'bob', 'u/alice/in', 'alice, are you there?')
  await carolSends('alice', 'alice, call me')
  await carolSends('bob', 'bob, call me')

  alice = await loginAlice()
  expect((await aliceSees('alice, are you there?')).delay).not.toBeNull()
  expect((await aliceSees('alice, call me')).delay).not.toBeNull()
  alice.say('send bob@localhost yes, I am')
  alice.say('ping')
  await alice.until('pong')

  bob = await subscribeBob()
  await bobSees('sent', 'alice, are you there?')
  await bobSees('msg', 'bob, call me')
  await bobSees('msg', 'yes, I am')
  expect(bob.shown.filter(({ topic }) => topic === 'u/bob/msg')).toHaveLength(2)
})

it('has every message once and in order in the history', async () => {
  expect(await carolReads('alice')).toEqual(['alice, carol here', 'hi carol, alice', 'alice, call me'])
  expect(await carolReads('bob')).toEqual(['bob, carol here', 'hi carol, bob', 'bob, call me'])
  const { items } = await curl(`${server.http}/v1/history?with=bob`, await tokenOf('alice'))
  const texts = (items as { text: string }[]).map(({ text }) => text)
  expect(texts).toEqual(['hi bob', 'hi alice', 'alice, are you there?', 'yes, I am'])
  for (const { text, id } of items as { text: string; id: string }[]) tell(text, id)
})

it('has one id for each message, wherever it is told', () => {
  expect(told.size).toBe(10)
  for (const [text, ids] of told) {
    expect([...ids], text).toHaveLength(1)
    expect([...ids][0], text).toMatch(/^[\da-f]{8}-[\da-f]{4}-7/)
  }
})

it('is not seen by `mosquitto_sub -t "#"`, which sees plain topics', async () => {
  await publish(server, 'alice', 'kitchen/temperature', '21.5')
  await everything.until(({ topic, text }) => topic === 'kitchen/temperature' && text === '21.5')
  expect(everything.shown).toHaveLength(1)
})

it("shares the messages of mosquitto_sub -t '$share/…' among two of them, and the other's when one is gone", async () => {
  const members = [
    await subscribe(server, 'bob', ['$share/g/jobs/#']),
    await subscribe(server, 'carol', ['$share/g/jobs/#']),
  ]
  for (const text of ['1', '2', '3', '4']) await publish(server, 'alice', 'jobs/new', text)
  const shown = () => members.map((member) => member.shown.map(({ text }) => text))
  await eventually(() => shown().flat().length === 4)
  expect(shown()).toEqual([
    ['1', '3'],
    ['2', '4'],
  ])
  await members[0]?.stop()
  await publish(server, 'alice', 'jobs/new', '5')
  await members[1]?.until(({ text }) => text === '5')
  await members[1]?.stop()
})

async function tokenOf(name: string): Promise<string> {
  const body = { username: name, password: passwordOf(name) }
  return String((await curl(`${server.http}/v1/auth/login`, null, body)).accessToken)
}
