// DESIGN §3: a token (JWT), ours or of the configured issuer, logs in on every protocol, with the clients people use.
import { randomBytes } from 'node:crypto'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { client } from '@xmpp/client'
import { SignJWT, UnsecuredJWT } from 'jose'
import { connectAsync } from 'mqtt'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { makeVerifiers } from '../../broker/auth/scram.ts'
import { startTestBroker, type TestBroker } from '../helpers/broker.ts'
import { audience, type Issuer, issuerName, secondsFromNow, startIssuer } from '../helpers/issuer.ts'
import { RawMqtt } from '../helpers/mqtt-raw.ts'
import { createRest } from '../helpers/rest.ts'
import { scratchFolder } from '../helpers/scratch-folder.ts'
import { connectClient, domain, type XmppClient } from '../script/xmpp-client.ts'

let issuer: Issuer
let broker: TestBroker
const checked = process.env.NODE_TLS_REJECT_UNAUTHORIZED
beforeAll(async () => {
  // The certificate is self-signed, and @xmpp/client has no setting for that.
  process.env.NODE_TLS_REJECT_UNAUTHORIZED = '0'
  issuer = await startIssuer()
  for (const alg of ['ES256', 'RS256', 'EdDSA']) await issuer.addKey(alg, alg)
  broker = await startTestBroker({ env: issuer.env })
})
afterAll(async () => {
  await Promise.all([broker.stop(), issuer.stop()])
  if (checked === undefined) delete process.env.NODE_TLS_REJECT_UNAUTHORIZED
  else process.env.NODE_TLS_REJECT_UNAUTHORIZED = checked
})

/** Logs in; answers `in`, or the protocol's own word for the refusal. */
type Way = (username: string, token: string, at?: TestBroker) => Promise<unknown>

const overMqtt: Way = async (username, password, at = broker) => {
  const url = `mqtt://127.0.0.1:${at.mqttPort}`
  return connectAsync(url, { username, password, protocolVersion: 5, reconnectPeriod: 0 }).then(
    (connected) => connected.endAsync().then(() => 'in'),
    (fault: { code?: unknown }) => fault.code,
  )
}

const overXmpp: Way = async (username, password, at = broker) => {
  const xmpp = client({
    service: `xmpp://127.0.0.1:${at.xmppPort}`,
    domain,
    username,
    password,
    credentials: (authenticate) => authenticate({ username, password }, 'PLAIN'),
  })
  xmpp.reconnect.stop()
  xmpp.on('error', () => {})
  return xmpp.start().then(
    () => xmpp.stop().then(() => 'in'),
    (fault: { condition?: unknown }) => xmpp.stop().then(() => fault.condition),
  )
}

const overHttp: Way = async (_username, token, at = broker) => {
  const { status } = await askHttp(token, at)
  return status === 200 ? 'in' : status
}

const askHttp = (token: string, at = broker) =>
  createRest(at.http, { authorization: `Bearer ${token}` }).get('/v1/history?with=admin')

async function overAll(username: string, token: string, at = broker): Promise<readonly unknown[]> {
  return [await overMqtt(username, token, at), await overXmpp(username, token, at), await overHttp(username, token, at)]
}

const allIn = ['in', 'in', 'in']
const allRefused = [0x86, 'not-authorized', 401]
const allLater = [0x89, 'temporary-auth-failure', 503]

describe('who is let in', () => {
  test.each(['ES256', 'RS256', 'EdDSA'])('who has a token of the issuer, signed with %s', async (alg) => {
    const { name } = await broker.account()
    expect(await overAll(name, await issuer.sign(alg, { sub: name }))).toEqual(allIn)
    expect(
      await overMqtt(`${name.toUpperCase()}@localhost`, await issuer.sign(alg, { sub: `${name}@localhost` })),
    ).toBe('in')
  })

  test('who has a token of ours', async () => {
    const { name, password } = await broker.account()
    const { json } = await createRest(broker.http).post('/v1/auth/login', { username: name, password })
    expect(await overAll(name, String(json.accessToken))).toEqual(allIn)
  })

  test('who has a token under a shared secret', async () => {
    const folder = await scratchFolder()
    const secret = randomBytes(32).toString('hex')
    const file = join(folder.path, 'secret')
    writeFileSync(file, `${secret}\n`)
    const { CLEARBOX_JWT_JWKS: _, ...named } = issuer.env
    const env = { ...named, CLEARBOX_JWT_KEY_FILE: file, CLEARBOX_JWT_ALG: 'HS256', CLEARBOX_JWT_ACCOUNT_CLAIM: 'user' }
    const own = await startTestBroker({ env })
    const { name } = await own.account()
    const claims = { iss: issuerName, aud: audience, user: name, exp: secondsFromNow(60) }
    const sign = (key: string) => new SignJWT(claims).setProtectedHeader({ alg: 'HS256' }).sign(Buffer.from(key))
    expect(await overAll(name, await sign(secret), own)).toEqual(allIn)
    expect(await overAll(name, await sign('x'.repeat(64)), own)).toEqual(allRefused)
    await Promise.all([own.stop(), folder.remove()])
  })

  test('over MQTT also without a user name (MQTT 5), and with an empty one (3.1.1)', async () => {
    const { name } = await broker.account()
    const password = await issuer.sign('ES256', { sub: name })
    const [five, four] = [new RawMqtt(broker.mqttPort, 5), new RawMqtt(broker.mqttPort, 4)]
    expect((await five.connect({ password })).reason).toBe(0)
    expect((await four.connect({ username: '', password })).reason).toBe(0)
    // It is this account's: its stream may be followed.
    expect(await five.subscribe([`u/${name}/msg`])).toEqual([1])
    for (const each of [five, four]) each.socket.destroy()
    expect((await new RawMqtt(broker.mqttPort, 5).connect({ password: 'x' })).reason).toBe(0x86)
  })
})

describe('who is not', () => {
  const other = async (claims: Record<string, unknown>) => issuer.sign('ES256', claims)
  test.each<[string, (sub: string) => Promise<string>]>([
    ['has expired', (sub) => other({ sub, exp: secondsFromNow(-1) })],
    ['never ends', (sub) => other({ sub, exp: undefined })],
    ['is for another audience', (sub) => other({ sub, aud: 'mail' })],
    ['is of another issuer', (sub) => other({ sub, iss: 'https://evil.example' })],
    ['is of an unknown key', (sub) => issuer.sign('ES256', { sub }, { kid: 'unknown' })],
    [
      'is not signed',
      async (sub) => new UnsecuredJWT({ iss: issuerName, aud: audience, sub }).setExpirationTime('1m').encode(),
    ],
    ['is of nobody here', () => other({ sub: 'nobody-of-us' })],
    ['says no name', () => other({})],
  ])('whose token %s', async (_what, make) => {
    const { name } = await broker.account()
    expect(await overAll(name, await make(name))).toEqual(allRefused)
  })

  test('who gives another user name than the token', async () => {
    const [alice, bob] = [await broker.account('alice'), await broker.account('bob')]
    const token = await issuer.sign('ES256', { sub: alice.name })
    expect(await overMqtt(bob.name, token)).toBe(0x86)
    expect(await overXmpp(bob.name, token)).toBe('not-authorized')
  })

  test('whose token is huge', async () => {
    const { name } = await broker.account()
    const token = await issuer.sign('ES256', { sub: name, groups: 'x'.repeat(8192) })
    expect(await overMqtt(name, token)).toBe(0x86)
    expect(await overHttp(name, token)).toBe(401)
    expect(await overXmpp(name, token)).not.toBe('in')
    expect(await overXmpp(name, await issuer.sign('ES256', { sub: name, groups: 'x'.repeat(4096) }))).toBe('in')
  })
})

describe('OAUTHBEARER (RFC 7628)', () => {
  const saslNs = 'urn:ietf:params:xml:ns:xmpp-sasl'

  async function begin(message: string): Promise<XmppClient> {
    const raw = await connectClient(broker.xmppPort)
    await raw.startTls()
    raw.openStream()
    await raw.until('features')
    raw.write(`<auth xmlns='${saslNs}' mechanism='OAUTHBEARER'>${Buffer.from(message).toString('base64')}</auth>`)
    return raw
  }

  test('logs in who the token speaks for, with and without a name', async () => {
    const { name } = await broker.account()
    const token = await issuer.sign('ES256', { sub: name })
    for (const header of ['n,,', `n,a=${name}@localhost,`, 'y,,']) {
      const raw = await begin(`${header}\x01host=localhost\x01port=5222\x01auth=Bearer ${token}\x01\x01`)
      expect((await raw.element()).name).toBe('success')
      raw.openStream()
      await raw.until('features')
      expect(await raw.bind('phone')).toBe(`${name}@localhost/phone`)
      raw.destroy()
    }
  })

  test('§3.2.2: a bad token is told in a challenge, and the client’s answer ends it', async () => {
    const { name } = await broker.account()
    const token = await issuer.sign('ES256', { sub: name, aud: 'mail' })
    const raw = await begin(`n,,\x01auth=Bearer ${token}\x01\x01`)
    const challenge = await raw.element()
    expect(challenge.name).toBe('challenge')
    expect(JSON.parse(Buffer.from(challenge.children.join(''), 'base64').toString())).toEqual({
      status: 'invalid_token',
    })
    raw.write(`<response xmlns='${saslNs}'>AQ==</response>`)
    expect(await raw.element()).toMatchObject({ name: 'failure', children: [{ name: 'not-authorized' }] })
    raw.destroy()
  })

  test('the name of another account is refused', async () => {
    const [alice, bob] = [await broker.account('alice'), await broker.account('bob')]
    const raw = await begin(
      `n,a=${bob.name},\x01auth=Bearer ${await issuer.sign('ES256', { sub: alice.name })}\x01\x01`,
    )
    expect((await raw.element()).name).toBe('challenge')
    raw.destroy()
  })

  test.each([
    ['without its end', 'n,,\x01auth=Bearer a.b.c\x01'],
    ['with a channel binding', 'p=tls-unique,,\x01auth=Bearer a.b.c\x01\x01'],
    ['without a token', 'n,,\x01host=localhost\x01\x01'],
    ['with another scheme', 'n,,\x01auth=Basic YTpi\x01\x01'],
    ['that is empty', ''],
  ])('a message %s is malformed', async (_what, message) => {
    const raw = await begin(message)
    expect(await raw.element()).toMatchObject({ name: 'failure', children: [{ name: 'malformed-request' }] })
    raw.destroy()
  })
})

describe('a login with a token of the issuer', () => {
  async function connected(claims: Record<string, unknown>) {
    const { name } = await broker.account()
    const token = await issuer.sign('ES256', { sub: name, ...claims })
    const mqtt = new RawMqtt(broker.mqttPort, 5)
    await mqtt.connect({ username: name, password: token })
    const xmpp = await connectClient(broker.xmppPort)
    await xmpp.startTls()
    await xmpp.login(name, token)
    await xmpp.bind()
    expect(await overHttp(name, token)).toBe('in')
    return { name, token, ended: () => Promise.all([mqtt.ended(), xmpp.streamError()]) }
  }

  test('ends at the `exp` of the token, and not before', async () => {
    const exp = secondsFromNow(4)
    const { token, ended, name } = await connected({ exp })
    expect(await ended()).toEqual([0x98, 'reset'])
    const lateMs = Date.now() - exp * 1000
    expect(lateMs).toBeGreaterThanOrEqual(0)
    expect(lateMs).toBeLessThan(3000)
    expect(await overAll(name, token)).toEqual(allRefused)
  })

  test('ends with the account', async () => {
    const { name, token, ended } = await connected({})
    await broker.store.accounts.remove(name)
    expect(await ended()).toEqual([0x98, 'not-authorized'])
    expect(await overAll(name, token)).toEqual(allRefused)
  })

  test('begins anew when the password changes: the token rests on its issuer’s word', async () => {
    const { name, token, ended } = await connected({})
    await broker.store.accounts.setVerifiers(name, await makeVerifiers('another'))
    expect(await ended()).toEqual([0x98, 'reset'])
    expect(await overAll(name, token)).toEqual(allIn)
  })

  test('is not ours to end: a log-out says so', async () => {
    const { token } = await connected({})
    const rest = createRest(broker.http, { authorization: `Bearer ${token}` })
    expect(await rest.send('POST', '/v1/auth/logout')).toMatchObject({ status: 403, type: 'application/problem+json' })
    expect((await askHttp(token)).status).toBe(200)
  })
})

test('while the keys cannot be had nobody is told that a token is wrong, and passwords are good as ever', async () => {
  const away = await startIssuer()
  await away.addKey('ES256', 'ES256')
  away.answerWith((response) => void response.destroy())
  const own = await startTestBroker({ env: { ...away.env, CLEARBOX_LOG_LEVEL: 'fatal' } })
  const { name, password } = await own.account()
  expect(await overAll(name, await away.sign('ES256', { sub: name }), own)).toEqual(allLater)
  expect(await overMqtt(name, password, own)).toBe('in')
  await Promise.all([own.stop(), away.stop()])
})
