// MQTT 5 §4.12: enhanced authentication with SCRAM, and re-authentication.
import { createHash, createHmac, pbkdf2Sync, randomBytes } from 'node:crypto'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { packetType } from '../../broker/mqtt/codec/packet-type.ts'
import { type Properties, writeProperties } from '../../broker/mqtt/codec/properties.ts'
import { Writer } from '../../broker/mqtt/codec/writer.ts'
import { startTestBroker, type TestBroker } from '../helpers/broker.ts'
import { connectPacket, publishPacket } from '../helpers/mqtt-bytes.ts'
import { loginRaw, RawMqtt } from '../helpers/mqtt-raw.ts'

let broker: TestBroker
beforeAll(async () => {
  broker = await startTestBroker()
})
afterAll(() => broker.stop())

type Method = 'SCRAM-SHA-256' | 'SCRAM-SHA-1'

/** The client's side, by the RFC and not by our server. */
function scramClient(name: string, password: string, method: Method = 'SCRAM-SHA-256') {
  const hash = method === 'SCRAM-SHA-256' ? 'sha256' : 'sha1'
  const hmac = (key: Buffer, text: string) => createHmac(hash, key).update(text).digest()
  const bare = `n=${name},r=${randomBytes(12).toString('hex')}`
  let proof = ''
  return {
    first: Buffer.from(`n,,${bare}`),
    final(challenge: string): Buffer {
      const [, nonce = '', salt = '', iterations = ''] = /^r=(.*),s=(.*),i=(.*)$/.exec(challenge) ?? []
      const size = hash === 'sha256' ? 32 : 20
      const salted = pbkdf2Sync(password, Buffer.from(salt, 'base64'), Number(iterations), size, hash)
      const clientKey = hmac(salted, 'Client Key')
      const signed = `${bare},${challenge},c=biws,r=${nonce}`
      const signature = hmac(createHash(hash).update(clientKey).digest(), signed)
      const mixed = Buffer.from(clientKey.map((byte, at) => byte ^ (signature[at] ?? 0)))
      proof = `v=${hmac(hmac(salted, 'Server Key'), signed).toString('base64')}`
      return Buffer.from(`c=biws,r=${nonce},p=${mixed.toString('base64')}`)
    },
    serverFinal: () => proof,
  }
}

function auth(reason: number, data: Buffer | null, method: string = 'SCRAM-SHA-256'): Buffer {
  const properties: Properties = { authenticationMethod: method, ...(data && { authenticationData: data }) }
  return writeProperties(new Writer().u8(reason), properties).toPacket(packetType.AUTH << 4)
}

const dataOf = ({ properties }: { properties: Properties }) => properties.authenticationData?.toString() ?? ''

type Options = Readonly<{ method?: Method; username?: string; clientId?: string }>

/** Up to the challenge. */
async function begin(name: string, password: string, { method = 'SCRAM-SHA-256', ...fields }: Options = {}) {
  const client = new RawMqtt(broker.mqttPort, 5)
  const scram = scramClient(name, password, method)
  client.send(
    connectPacket({ ...fields, properties: { authenticationMethod: method, authenticationData: scram.first } }),
  )
  const challenge = await client.expect('auth')
  expect([challenge.reason, challenge.properties.authenticationMethod]).toEqual([0x18, method])
  return { client, scram, answer: auth(0x18, scram.final(dataOf(challenge)), method) }
}

async function login(name: string, password: string, options: Options = {}) {
  const { client, scram, answer } = await begin(name, password, options)
  client.send(answer)
  const connack = await client.expect('connack')
  return { client, scram, connack }
}

it.each(['SCRAM-SHA-256', 'SCRAM-SHA-1'] as const)('%s: logs in, and the server proves itself', async (method) => {
  const { name, password } = await broker.account()
  const { client, scram, connack } = await login(name, password, { method, username: name })
  expect(connack.reason).toBe(0)
  expect(connack.properties.authenticationMethod).toBe(method) // [MQTT-4.12.0-5]
  expect(dataOf(connack)).toBe(scram.serverFinal())
  await client.ping()
})

it('refuses a wrong password and an unknown account alike', async () => {
  const { name } = await broker.account()
  for (const who of [name, 'nobody-at-all']) {
    const { client, connack } = await login(who, 'wrong')
    expect(connack.reason).toBe(0x87)
    expect(await client.ended()).toBeNull()
  }
})

it('refuses a CONNECT user name that is not the proven one', async () => {
  const [one, two] = [await broker.account(), await broker.account()]
  expect((await login(one.name, one.password, { username: two.name })).connack.reason).toBe(0x86)
})

it('refuses an unknown method [MQTT-4.12.0-1]', async () => {
  const client = new RawMqtt(broker.mqttPort, 5)
  expect((await client.connect({ properties: { authenticationMethod: 'GS2-KRB5' } })).reason).toBe(0x8c)
  expect(await client.ended()).toBeNull()
})

it('asks for the first message when CONNECT brings none', async () => {
  const { name, password } = await broker.account()

  const client = new RawMqtt(broker.mqttPort, 5)
  client.send(connectPacket({ properties: { authenticationMethod: 'SCRAM-SHA-256' } }))
  expect(dataOf(await client.expect('auth'))).toBe('')
  const scram = scramClient(name, password)
  client.send(auth(0x18, scram.first))
  client.send(auth(0x18, scram.final(dataOf(await client.expect('auth')))))
  expect((await client.expect('connack')).reason).toBe(0)
})

it.each([
  ['a PUBLISH', publishPacket(5, { topic: 'a' })],
  ['a PINGREQ', Buffer.from([0xc0, 0])],
  ['AUTH of another method', auth(0x18, Buffer.from('x'), 'SCRAM-SHA-1')],
  ['a re-authentication', auth(0x19, Buffer.from('x'))],
])('refuses %s before CONNACK (§3.1.4)', async (_what, packet) => {
  const { name, password } = await broker.account()
  const { client } = await begin(name, password)
  client.send(packet)
  expect((await client.expect('connack')).reason).toBe(0x82)
  expect(await client.ended()).toBeNull()
})

it('lets a client leave in the middle of the exchange', async () => {
  const { name, password } = await broker.account()
  const { client } = await begin(name, password)
  client.send(Buffer.from([0xe0, 0]))
  expect(await client.ended()).toBeNull()
})

it('authenticates again while other traffic goes on (§4.12.1)', async () => {
  const { name, password } = await broker.account()
  const { client } = await login(name, password)
  for (const _round of [1, 2]) {
    const scram = scramClient(name, password)
    client.send(auth(0x19, scram.first))
    const challenge = await client.expect('auth')
    await client.ping()
    client.send(auth(0x18, scram.final(dataOf(challenge))))
    const done = await client.expect('auth')
    expect([done.reason, dataOf(done)]).toEqual([0, scram.serverFinal()])
  }
})

it('closes with 0x87 when a re-authentication fails (§4.12.1)', async () => {
  const { name, password } = await broker.account()
  const { client } = await login(name, password)
  const scram = scramClient(name, 'wrong')
  client.send(auth(0x19, scram.first))
  client.send(auth(0x18, scram.final(dataOf(await client.expect('auth')))))
  expect(await client.ended()).toBe(0x87)
})

it('closes when a re-authentication proves another account', async () => {
  const [one, two] = [await broker.account(), await broker.account()]
  const { client } = await login(one.name, one.password)
  const scram = scramClient(two.name, two.password)
  client.send(auth(0x19, scram.first))
  client.send(auth(0x18, scram.final(dataOf(await client.expect('auth')))))
  expect(await client.ended()).toBe(0x87)
})

it.each([
  ['another method [MQTT-4.12.1-1]', auth(0x19, Buffer.from('x'), 'SCRAM-SHA-1')],
  ['an answer to nothing', auth(0x18, Buffer.from('x'))],
])('closes with 0x82 at %s', async (_what, packet) => {
  const { name, password } = await broker.account()
  const { client } = await login(name, password)
  client.send(packet)
  expect(await client.ended()).toBe(0x82)
})

it.each([4, 5] as const)('closes at AUTH of a client without a method, level %i [MQTT-4.12.0-7]', async (level) => {
  const { name, password } = await broker.account()
  const client = await loginRaw(broker.mqttPort, { level, username: name, password })
  client.send(auth(0x19, Buffer.from('x')))
  expect(await client.ended()).toBe(level === 4 ? null : 0x82)
})
