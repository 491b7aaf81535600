// A token of an issuer restricts the login that it makes to its claim `acl` (EMQX's forms), on MQTT and on REST.
// biome-ignore-all lint/suspicious/noTemplateCurlyInString: EMQX's placeholders
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { startTestBroker, type TestBroker } from '../helpers/broker.ts'
import { type Issuer, startIssuer } from '../helpers/issuer.ts'
import type { ConnectFields } from '../helpers/mqtt-bytes.ts'
import { loginRaw, RawMqtt } from '../helpers/mqtt-raw.ts'
import { createRest } from '../helpers/rest.ts'

let issuer: Issuer
let broker: TestBroker
let account: Readonly<{ name: string; password: string }>
const acl = [{ deny: 'publish', topics: ['dev/ruled-out'] }]
beforeAll(async () => {
  issuer = await startIssuer()
  await issuer.addKey('key', 'ES256')
  broker = await startTestBroker({ env: { ...issuer.env, CLEARBOX_ACL: JSON.stringify(acl) } })
  account = await broker.account()
})
afterAll(async () => {
  await broker.stop()
  await issuer.stop()
})

const tokenWith = (claim: unknown) => issuer.sign('key', { sub: account.name, acl: claim })
const login = async (claim: unknown, fields: ConnectFields = {}) =>
  loginRaw(broker.mqttPort, { username: account.name, password: await tokenWith(claim), clientId: 'd1', ...fields })

describe('with three lists', () => {
  const claim = { pub: ['dev/#'], sub: ['dev/${clientid}/#'] }

  it('only what they name is allowed, and only where the rules allow it too', async () => {
    const client = await login(claim)
    const reasons = []
    for (const topic of ['dev/x', 'dev/ruled-out', 'other'])
      reasons.push((await client.publish({ topic, qos: 1 }))?.reason)
    expect(reasons).toEqual([0, 0x87, 0x87])
    expect(await client.subscribe(['dev/d1/#', 'dev/d2', '#', `u/${account.name}/msg`])).toEqual([1, 0x87, 0x87, 1])
  })

  it('a Will is bound by them', async () => {
    const client = new RawMqtt(broker.mqttPort)
    const password = await tokenWith(claim)
    const will = { topic: 'other', payload: 'x' }
    expect(await client.connect({ username: account.name, password, will })).toMatchObject({ reason: 0x87 })
  })

  it('so is REST, which has no client id', async () => {
    const rest = createRest(broker.http, {
      authorization: `Bearer ${await tokenWith({ pub: ['dev/x', '${clientid}'] })}`,
    })
    const status = async (topic: string) => (await rest.post('/v1/publish', { topic, payload: 'x' })).status
    expect([await status('dev/x'), await status('other'), await status('')]).toEqual([200, 403, 400])
  })

  it('a session that is resumed with a narrower token loses what that does not allow', async () => {
    const persistent = { clientId: 'p1', clean: false, properties: { sessionExpiryInterval: 100 } }
    const wide = await login({ sub: ['a/#', 'b/#'] }, persistent)
    expect(await wide.subscribe(['a/#', 'b/#'])).toEqual([1, 1])
    await wide.leave()
    const narrow = await login({ sub: ['b/#'] }, persistent)
    const publisher = await loginRaw(broker.mqttPort, { username: account.name, password: account.password })
    for (const topic of ['a/1', 'b/1']) await publisher.publish({ topic, payload: topic, qos: 1 })
    expect(await narrow.expect('publish')).toMatchObject({ topic: 'b/1' })
    await narrow.ping()
  })
})

it('with a list of rules the first that fits decides, and the rest is for the rules', async () => {
  const client = await login([
    { permission: 'allow', action: 'publish', topic: 'dev/1' },
    { permission: 'deny', action: 'publish', topic: 'dev/#' },
  ])
  const reasons = []
  for (const topic of ['dev/1', 'dev/2', 'other']) reasons.push((await client.publish({ topic, qos: 1 }))?.reason)
  expect(reasons).toEqual([0, 0x87, 0])
})

it('with a claim that cannot be understood nobody logs in', async () => {
  const client = new RawMqtt(broker.mqttPort)
  const password = await tokenWith({ pub: 'a/#/b' })
  expect(await client.connect({ username: account.name, password })).toMatchObject({ reason: 0x86 })
})
