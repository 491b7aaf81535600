// Rules of plain topics (DESIGN §3, decision 0011), as clients meet them: MQTT, Wills, REST.
import mqtt from 'mqtt'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { makeVerifiers } from '../../broker/auth/scram.ts'
import type { TopicRule } from '../../broker/types.ts'
import { adminPassword, startTestBroker, type TestBroker } from '../helpers/broker.ts'
import { eventually } from '../helpers/eventually.ts'
import { type ConnectFields, publishPacket } from '../helpers/mqtt-bytes.ts'
import { loginRaw, RawMqtt } from '../helpers/mqtt-raw.ts'
import { logIn } from '../helpers/rest.ts'

const rules: readonly TopicRule[] = [
  { allow: 'both', role: ['admin'], topics: ['#'] },
  { allow: 'publish', client: ['sensor-*'], topics: ['sensors/%c/#'] },
  { deny: 'subscribe', topics: ['sensors/+/raw'] },
  { allow: 'subscribe', topics: ['sensors/#'] },
  { allow: 'both', topics: ['home/%u/#'] },
  { deny: 'both', anonymous: true, topics: ['#'] },
  { deny: 'both', topics: ['closed/#'] },
]

type Account = Readonly<{ name: string; password: string }>

let broker: TestBroker
let account: Account
let names = 0
const env = { CLEARBOX_ACL: JSON.stringify(rules), CLEARBOX_MQTT_ANONYMOUS: 'on' }
beforeAll(async () => {
  broker = await startTestBroker({ env })
  account = await broker.account()
})
afterAll(() => broker.stop())

const newName = () => `acl${++names}`
const as = ({ name, password }: Account) => ({ username: name, password })
const login = (fields: ConnectFields = {}, who = account) => loginRaw(broker.mqttPort, { ...as(who), ...fields })
const admin: Account = { name: 'admin', password: adminPassword }

async function selfRegistered(): Promise<Account> {
  const name = newName()
  await broker.store.accounts.create({
    name,
    role: 'user',
    plainTopics: 'none',
    verifiers: await makeVerifiers('secret'),
  })
  return { name, password: 'secret' }
}

describe('MQTT 5', () => {
  it('PUBACK 0x87 to who may not publish; others get nothing of it', async () => {
    const [watcher, client] = [await login({}, admin), await login({ clientId: 'sensor-1' })]
    await watcher.subscribe(['#'])
    expect(await client.publish({ topic: 'closed/x', payload: 'no', qos: 1 })).toMatchObject({ reason: 0x87 })
    expect(await client.publish({ topic: 'sensors/sensor-2/t', payload: 'no', qos: 1, retain: true })).toMatchObject({
      reason: 0,
    })
    client.send(publishPacket(5, { topic: 'closed/y', payload: 'no' }))
    expect(await client.publish({ topic: 'sensors/sensor-1/t', payload: 'yes', qos: 1 })).toMatchObject({ reason: 0 })
    expect((await watcher.publishes(2)).map(({ topic }) => topic)).toEqual(['sensors/sensor-2/t', 'sensors/sensor-1/t'])
    await watcher.ping()
  })

  it('SUBACK 0x87 for each filter that would show what is denied', async () => {
    const client = await login()
    const filters = [
      '#',
      'sensors/#',
      'sensors/1/raw',
      'sensors/+/+',
      'closed/#',
      '+/x',
      'sensors/+/t',
      `home/${account.name}/#`,
      'free/#',
    ]
    expect(await client.subscribe(filters)).toEqual([0x87, 0x87, 0x87, 0x87, 0x87, 0x87, 1, 1, 1])
  })

  it('a topic is decided anew for each publisher, and after another topic', async () => {
    const [one, two] = [await login({ clientId: 'sensor-7' }), await login({ clientId: 'x' })]
    for (let i = 0; i < 3; i++) {
      expect(await one.publish({ topic: 'free/a', qos: 1 })).toMatchObject({ reason: 0 })
      expect(await one.publish({ topic: 'closed/a', qos: 1 })).toMatchObject({ reason: 0x87 })
      expect(await two.publish({ topic: 'closed/a', qos: 1 })).toMatchObject({ reason: 0x87 })
    }
  })
})

describe('MQTT 3.1.1', () => {
  it('SUBACK 0x80; a publish is acknowledged, and refused on u/{me}/err (DESIGN §1)', async () => {
    const client = await login({ level: 4 })
    client.autoAck = true
    expect(await client.subscribe(['closed/#', `u/${account.name}/err`])).toEqual([0x80, 1])
    client.send(publishPacket(4, { topic: 'closed/x', payload: 'no', qos: 1, packetId: 5 }))
    const answers = [await client.next(), await client.next()]
    expect(answers).toContainEqual(expect.objectContaining({ kind: 'puback', packetId: 5 }))
    const notice = answers.find((packet) => packet.kind === 'publish')
    expect(JSON.parse(notice?.payload ?? '')).toMatchObject({ code: 'forbidden', topic: 'closed/x' })
  })
})

describe('who', () => {
  it('an account that registered itself has what the rules give it', async () => {
    const self = await selfRegistered()
    expect(await (await login({}, self)).subscribe(['free/#', `home/${self.name}/#`, 'home/+/x'])).toEqual([
      0x87, 1, 0x87,
    ])
    const client = await login({}, self)
    expect(await client.publish({ topic: 'free/x', qos: 1 })).toMatchObject({ reason: 0x87 })
    expect(await client.publish({ topic: `home/${self.name}/x`, qos: 1 })).toMatchObject({ reason: 0 })
  })

  it('anonymous clients are named by a rule, and have no %u', async () => {
    const [client, other] = [await loginRaw(broker.mqttPort, {}), await loginRaw(broker.mqttPort, {})]
    expect(await other.subscribe(['sensors/+/t', 'home/#', 'free/#', 'home//x'])).toEqual([1, 0x87, 0x87, 0x87])
    expect(await client.publish({ topic: 'free/x', qos: 1 })).toMatchObject({ reason: 0x87 })
  })

  it.each(['sensor-+', 'sensor-#', 'sensor-/#', 'sensor-a/+'])('the client id %s widens nothing', async (clientId) => {
    const client = await login({ clientId }, await selfRegistered())
    for (const topic of [`sensors/${clientId.replace(/[+#]/g, 'x')}/t`, 'sensors/sensor-1/t', 'sensors/sensor-/x/t']) {
      expect(await client.publish({ topic, qos: 1 })).toMatchObject({ reason: 0x87 })
    }
  })
})

describe('other ways to a topic', () => {
  it('a Will is refused at CONNECT', async () => {
    const client = new RawMqtt(broker.mqttPort)
    expect(await client.connect({ ...as(account), will: { topic: 'closed/w', payload: 'x' } })).toMatchObject({
      reason: 0x87,
    })
    await client.expect('closed')
  })

  it('retained messages and REST obey the same rules', async () => {
    const rest = await logIn(broker.http, account)
    const status = async (topic: string) => (await rest.post('/v1/publish', { topic, payload: 'x' })).status
    expect([await status('closed/x'), await status('free/x')]).toEqual([403, 200])
    // REST has no client id.
    const self = await logIn(broker.http, await selfRegistered())
    expect((await self.post('/v1/publish', { topic: 'sensors/sensor-1/t', payload: 'x' })).status).toBe(403)
    const client = await login()
    expect(await client.publish({ topic: 'closed/r', payload: 'x', qos: 1, retain: true })).toMatchObject({
      reason: 0x87,
    })
    const watcher = await login({}, admin)
    await watcher.subscribe(['closed/#'])
    await watcher.ping()
  })

  it('MQTT.js is told', async () => {
    const { name: username, password } = account
    const client = await mqtt.connectAsync(`mqtt://127.0.0.1:${broker.mqttPort}`, {
      protocolVersion: 5,
      username,
      password,
    })
    await expect(client.publishAsync('closed/x', 'x', { qos: 1 })).rejects.toMatchObject({ code: 0x87 })
    await expect(client.subscribeAsync('closed/x')).rejects.toThrow()
    await client.endAsync()
  })
})

describe('when the rules change', () => {
  const persistent = (clientId: string) => ({ clientId, clean: false, properties: { sessionExpiryInterval: 1000 } })

  it('publishing is decided anew, and subscriptions that lost their right end, whether their client is here or not', async () => {
    const [topic, id] = [`free/${newName()}`, newName()]
    const own = await broker.account()
    const away = await login(persistent(id), own)
    await away.subscribe([topic, `other/${topic}`])
    await away.leave()
    const [follower, other, witness] = [await login({}, own), await login(), await login({}, admin)]
    await follower.subscribe([`${topic}/#`, `other/${topic}`, `u/${own.name}/err`])
    expect(await witness.publish({ topic, payload: 'before', qos: 1 })).toMatchObject({ reason: 0 })
    expect(await follower.expect('publish')).toMatchObject({ payload: 'before' })

    await broker.replaceAcl([...rules.slice(0, 1), { deny: 'both', topics: ['free/#'] }])
    const notices = await follower.publishes(2)
    expect(notices.map(({ payload }) => JSON.parse(payload).topic).sort()).toEqual([topic, `${topic}/#`].sort())
    expect(await witness.publish({ topic, payload: 'after', qos: 1 })).toMatchObject({ reason: 0 })
    expect(await other.publish({ topic, payload: 'no', qos: 1 })).toMatchObject({ reason: 0x87 })
    await witness.publish({ topic: `other/${topic}`, payload: 'goes on', qos: 1 })
    expect(await follower.expect('publish')).toMatchObject({ payload: 'goes on' })

    // What waited from before is not sent either: the right is gone.
    const back = await login(persistent(id), own)
    expect(await back.expect('publish')).toMatchObject({ payload: 'goes on' })
    await back.ping()
    await broker.replaceAcl(rules)
    expect(await other.publish({ topic, payload: 'again', qos: 1 })).toMatchObject({ reason: 0 })
    await back.ping()
  })

  it('a session that is resumed after a start with other rules loses what it may not have any more (DESIGN §3)', async () => {
    const [topic, id] = [`free/${newName()}`, newName()]
    const client = await login(persistent(id))
    await client.subscribe([topic, `other/${topic}`])
    await client.leave()
    broker = await broker.restart({
      CLEARBOX_ACL: JSON.stringify([...rules.slice(0, 1), { deny: 'subscribe', topics: ['free/#'] }]),
    })
    const publisher = await login({}, admin)
    for (const to of [topic, `other/${topic}`]) await publisher.publish({ topic: to, payload: to, qos: 1 })
    const back = await login(persistent(id))
    back.autoAck = true
    expect(await back.expect('publish')).toMatchObject({ payload: `other/${topic}` })
    await back.ping()
    broker = await broker.restart(env)
    const again = await login(persistent(id))
    await (await login({}, admin)).publish({ topic, payload: 'x', qos: 1 })
    await again.ping()
  })

  it('a Will is judged by the rules of its time', async () => {
    const topic = `free/${newName()}`
    const watcher = await login({}, admin)
    await watcher.subscribe([topic, `${topic}/2`])
    const mortal = await login({ will: { topic, payload: 'gone', qos: 1 } })
    const other = await login({ will: { topic: `${topic}/2`, payload: 'gone', qos: 1 } })
    const err = await login()
    await err.subscribe([`u/${account.name}/err`])
    await broker.replaceAcl([...rules.slice(0, 1), { deny: 'both', topics: [topic] }])
    await mortal.break()
    await other.break()
    expect(await watcher.expect('publish')).toMatchObject({ topic: `${topic}/2` })
    const { payload } = await eventually(() => err.expect('publish'))
    expect(JSON.parse(payload)).toMatchObject({ code: 'forbidden', topic })
    await watcher.ping()
    await broker.replaceAcl(rules)
  })
})
