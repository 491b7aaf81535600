// slixmpp and go-sendxmpp, which we did not write, over STARTTLS.
import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { startTestBroker, type TestBroker } from '../helpers/broker.ts'
import { eventually } from '../helpers/eventually.ts'
import { createRest, type Rest } from '../helpers/rest.ts'
import { domain } from '../script/xmpp-client.ts'
import { listenByGo, sendByGo, startSlixmpp } from './xmpp-devices.ts'

let broker: TestBroker
beforeAll(async () => {
  broker = await startTestBroker()
})
afterAll(() => broker.stop())

describe('slixmpp', () => {
  it.each(['SCRAM-SHA-256', 'SCRAM-SHA-1', 'PLAIN'])(
    'logs in with %s and gets the resource that it asks for',
    async (mechanism) => {
      const alice = await broker.account('alice')
      const device = startSlixmpp(broker.xmppPort, alice, 'phone', mechanism)
      expect(await device.until('online')).toMatchObject({ jid: `${alice.name}@${domain}/phone` })
      await device.quit()
    },
  )

  it('is told that the password is wrong', async () => {
    const { name } = await broker.account('alice')
    const device = startSlixmpp(broker.xmppPort, { name, password: 'wrong' })
    await device.until('failed')
    await device.quit()
  })

  it('holds a conversation, online and offline', async () => {
    const [alice, bob] = [await broker.account('alice'), await broker.account('bob')]
    const phone = startSlixmpp(broker.xmppPort, alice, 'phone')
    await phone.until('online')
    phone.say('presence')
    phone.say(`send ${bob.name}@${domain} are you there?`)
    phone.say('ping')
    await phone.until('pong')

    const desk = startSlixmpp(broker.xmppPort, bob, 'desk')
    await desk.until('online')
    desk.say('presence')
    const sender = `${alice.name}@${domain}/phone`
    const late = await desk.until('message')
    expect(late).toMatchObject({ sender, type: 'chat', body: 'are you there?' })
    expect(late.delay).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/)
    expect(late.id).toMatch(/^[\da-f-]{36}$/)

    desk.say(`send ${sender} now I am: ü <&> 📱`)
    expect(await phone.until('message')).toMatchObject({ body: 'now I am: ü <&> 📱', delay: null })
    phone.say(`send ${bob.name}@${domain} good`)
    expect(await desk.until('message')).toMatchObject({ sender, body: 'good', delay: null })
    await phone.quit()
    await desk.quit()
  })

  it('asks, grants and sees, and loses sight of a contact that is removed', async () => {
    const [alice, bob] = [await broker.account('alice'), await broker.account('bob')]
    const [phone, desk] = [startSlixmpp(broker.xmppPort, alice, 'phone'), startSlixmpp(broker.xmppPort, bob, 'desk')]
    const bobAddress = `${bob.name}@${domain}`
    const subscriptionOf = async (device: typeof phone, who: { name: string }) => {
      device.say('roster')
      const { contacts } = await device.until('roster')
      return (contacts as Record<string, string>)[`${who.name}@${domain}`]
    }
    for (const device of [phone, desk]) {
      await device.until('online')
      device.say('roster')
      await device.until('roster')
      device.say('presence')
    }
    await desk.until('available')
    // slixmpp grants, and asks in return.
    phone.say(`subscribe ${bobAddress}`)
    await phone.until('subscribed')
    await desk.until('subscribed')
    await eventually(async () => (await subscriptionOf(phone, bob)) === 'both')
    await eventually(async () => (await subscriptionOf(desk, alice)) === 'both')
    desk.say('away')
    const away = { sender: `${bobAddress}/desk`, status: 'tea' }
    await eventually(async () => (await phone.until('away')).sender === away.sender)
    desk.say(`remove ${alice.name}@${domain}`)
    expect(await phone.until('unavailable')).toMatchObject({ sender: away.sender })
    expect(await subscriptionOf(phone, bob)).toBe('none')
    await phone.quit()
    await desk.quit()
  })

  it('finds an empty roster and what the server can do', async () => {
    const device = startSlixmpp(broker.xmppPort, await broker.account('alice'))
    await device.until('online')
    device.say('roster')
    expect(await device.until('roster')).toMatchObject({ size: 0 })
    device.say('disco')
    expect((await device.until('disco')).features).toContain('urn:xmpp:ping')
    await device.quit()
  })

  it('gives way to a newer stream with its resource (RFC 6120 §7.7.2.2)', async () => {
    const alice = await broker.account('alice')
    const older = startSlixmpp(broker.xmppPort, alice, 'phone')
    await older.until('online')
    const newer = startSlixmpp(broker.xmppPort, alice, 'phone')
    await newer.until('online')
    expect(await older.until('error')).toMatchObject({ condition: 'conflict' })
    await older.quit()
    newer.say('ping')
    await newer.until('pong')
    await newer.quit()
  })
})

describe('go-sendxmpp', () => {
  it('sends to someone who is online', async () => {
    const [alice, bob] = [await broker.account('alice'), await broker.account('bob')]
    const desk = startSlixmpp(broker.xmppPort, bob, 'desk')
    await desk.until('online')
    desk.say('presence')
    desk.say('ping')
    await desk.until('pong')
    await sendByGo(broker.xmppPort, alice, bob.name, 'from a shell')
    expect(await desk.until('message')).toMatchObject({ body: 'from a shell', delay: null })
    await desk.quit()
  })

  it('receives what was sent while it was not there, and what comes then', async () => {
    const [alice, bob] = [await broker.account('alice'), await broker.account('bob')]
    await sendByGo(broker.xmppPort, alice, bob.name, 'first')
    const listener = listenByGo(broker.xmppPort, bob)
    expect(await listener.next()).toMatch(/first$/)
    await sendByGo(broker.xmppPort, alice, bob.name, 'second')
    expect(await listener.next()).toMatch(/second$/)
    listener.stop()
  })

  it('is told that the password is wrong', async () => {
    const { name } = await broker.account('alice')
    await expect(sendByGo(broker.xmppPort, { name, password: 'wrong' }, name, 'x')).rejects.toThrow('go-sendxmpp')
  })
})

describe('what the other protocols say', () => {
  it('comes to an XMPP device as a chat message, with the id that they know it by', async () => {
    const [alice, bob] = [await broker.account('alice'), await broker.account('bob')]
    const desk = startSlixmpp(broker.xmppPort, bob, 'desk')
    await desk.until('online')
    desk.say('presence')
    desk.say('ping')
    await desk.until('pong')

    const door = [
      '-p',
      String(broker.mqttPort),
      '-u',
      alice.name,
      '-P',
      alice.password,
      '-q',
      '1',
      '-t',
      `u/${bob.name}/in`,
    ]
    await run('mosquitto_pub', [...door, '-i', 'sensor-1', '-m', 'hi bob'])
    const fromMqtt = await desk.until('message')
    expect(fromMqtt).toMatchObject({ type: 'chat', body: 'hi bob', delay: null })
    expect(fromMqtt.sender).toMatch(new RegExp(`^${alice.name}@${domain}/mqtt-[a-z2-7]{10}$`))

    const rest = await restOf(alice)
    const { id } = (await rest.post('/v1/messages', { to: bob.name, text: 'hi by REST' })).json
    expect(await desk.until('message')).toMatchObject({ sender: `${alice.name}@${domain}`, body: 'hi by REST', id })
    await desk.quit()
  })

  it('reaches MQTT and REST from an XMPP device, with the same id', async () => {
    const [alice, bob] = [await broker.account('alice'), await broker.account('bob')]
    const phone = startSlixmpp(broker.xmppPort, alice, 'phone')
    await phone.until('online')
    const port = String(broker.mqttPort)
    const login = [
      '-p',
      port,
      '-u',
      bob.name,
      '-P',
      bob.password,
      '-i',
      'sub',
      '-c',
      '-q',
      '1',
      '-t',
      `u/${bob.name}/msg`,
    ]
    await run('mosquitto_sub', [...login, '-E']) // A persistent session that has subscribed.
    phone.say(`send ${bob.name}@${domain} hi by XMPP`)
    const received = run('mosquitto_sub', [...login, '-C', '1', '-W', '15'])
    const envelope = JSON.parse(await received)
    expect(envelope).toMatchObject({ kind: 'message', from: `${alice.name}@${domain}`, text: 'hi by XMPP' })
    const history = await (await restOf(bob)).get(`/v1/history?with=${alice.name}`)
    expect(history.json.items).toMatchObject([{ id: envelope.id, text: 'hi by XMPP' }])
    await phone.quit()
  })
})

type Account = Readonly<{ name: string; password: string }>

async function run(program: string, parameters: readonly string[]): Promise<string> {
  return (await promisify(execFile)(program, [...parameters])).stdout
}

async function restOf({ name, password }: Account): Promise<Rest> {
  const answer = await createRest(broker.http).post('/v1/auth/login', { username: name, password })
  return createRest(broker.http, { authorization: `Bearer ${answer.json.accessToken}` })
}
