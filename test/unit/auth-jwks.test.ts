// RFC 7517 §5: the keys of an issuer, who may be slow, broken or hostile.
import { generateKeyPairSync } from 'node:crypto'
import type { ServerResponse } from 'node:http'
import type { JWK } from 'jose'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { createJwks, type Jwks } from '../../broker/auth/jwks.ts'
import { createLogger } from '../../broker/log.ts'
import { eventually } from '../helpers/eventually.ts'
import { type Issuer, startIssuer } from '../helpers/issuer.ts'

const minuteMs = 60_000

let issuer: Issuer
let nowMs: number
let jwks: Jwks
beforeEach(async () => {
  issuer = await startIssuer()
  await issuer.addKey('one', 'ES256')
  nowMs = 0
  jwks = createJwks({ url: issuer.url, logger: createLogger('silent'), timeoutMs: 1500, now: () => nowMs })
})
afterEach(() => issuer.stop())

const find = (kid: string | undefined, alg = 'ES256') => jwks.keyFor({ kid, alg })
const overload = { code: 'overload' }

/** Shows these keys instead of the issuer's. */
function show(...keys: readonly JWK[]): void {
  issuer.answerWith((response) => response.end(JSON.stringify({ keys })))
}

test('the set is read once, whoever asks at the same moment, and kept', async () => {
  const found = await Promise.all(Array.from({ length: 20 }, () => find('one')))
  expect(found.every((key) => key?.algorithms.includes('ES256'))).toBe(true)
  expect(await find('one', 'RS256')).toBeNull()
  expect(issuer.asked()).toBe(1)
})

describe('a key that is unknown', () => {
  test('is looked for at most once in 30 seconds', async () => {
    await jwks.warm()
    await issuer.addKey('two', 'ES256')
    for (let tries = 0; tries < 50; tries++) expect(await find(`made-up-${tries}`)).toBeNull()
    nowMs = 29_999
    expect(await find('two')).toBeNull()
    expect(issuer.asked()).toBe(1)
    nowMs = 30_000
    expect(await find('two')).not.toBeNull()
    expect(issuer.asked()).toBe(2)
  })

  test('is looked for no more often while the issuer is down, and nobody is told that it is wrong', async () => {
    issuer.answerWith((response) => void response.destroy())
    for (let tries = 0; tries < 20; tries++) await expect(find('one')).rejects.toMatchObject(overload)
    expect(issuer.asked()).toBe(1)
    issuer.answerWith(null)
    nowMs = 30_000
    expect(await find('one')).not.toBeNull()
  })
})

describe('a set that is known', () => {
  beforeEach(() => jwks.warm())

  test('is read again behind the back of who asks, and a key that has gone is good no more', async () => {
    await issuer.addKey('two', 'ES256')
    issuer.hideKey('one')
    nowMs = 10 * minuteMs
    expect(await find('one')).not.toBeNull()
    await eventually(async () => (await find('two')) !== null)
    expect(await find('one')).toBeNull()
    expect(issuer.asked()).toBe(2)
  })

  test('is read before its keys are good again when nobody has asked for long', async () => {
    await issuer.addKey('two', 'ES256')
    issuer.hideKey('one')
    nowMs = 20 * minuteMs
    expect(await Promise.all([find('one'), find('one')])).toEqual([null, null])
    expect(await find('two')).not.toBeNull()
    issuer.answerWith((response) => void response.destroy())
    nowMs = 60 * minuteMs
    expect(await find('two')).not.toBeNull()
    expect(issuer.asked()).toBe(3)
  })

  test.each<[string, (response: ServerResponse) => void]>([
    ['is down', (response) => void response.destroy()],
    ['never answers', () => {}],
    ['begins and never ends', (response) => void response.write('{"keys":[')],
    ['fails', (response) => void response.writeHead(500).end('{"keys":[]}')],
    ['redirects', (response) => void response.writeHead(302, { location: '/keys' }).end()],
    ['sends no JSON', (response) => void response.end('<html>')],
    ['sends no set', (response) => void response.end('{"keys":{}}')],
    ['sends no UTF-8', (response) => void response.end(Buffer.from([0x22, 0xff, 0x22]))],
    ['sends too many keys', (response) => void response.end(`{"keys":[${Array(101).fill('{}').join()}]}`)],
    ['sends too much', (response) => void response.end(`{"keys":[]}${' '.repeat(256 * 1024)}`)],
  ])('goes on while the issuer %s', async (_what, answer) => {
    issuer.answerWith(answer)
    nowMs = 60 * minuteMs
    await expect(find('two')).rejects.toMatchObject(overload)
    expect(issuer.asked()).toBe(2)
    expect(await find('one')).not.toBeNull()
  })

  test('a flood that never ends is cut off, whatever it is', async () => {
    let sent = 0
    issuer.answerWith((response) => {
      const more = () => {
        while (!response.destroyed && response.write(Buffer.alloc(16 * 1024, 0x20))) sent += 16 * 1024
      }
      response.on('drain', more)
      more()
    })
    nowMs = minuteMs
    await expect(find('two')).rejects.toMatchObject(overload)
    const seen = sent
    // The sockets' own buffers hold a few MiB at most.
    expect(seen).toBeLessThan(16 * 1024 * 1024)
  })
})

describe('of the keys in a set', () => {
  const ec = () => issuer.jwk('one')

  test('one without an algorithm has that of its kind', async () => {
    await issuer.addKey('rsa', 'RS256')
    await issuer.addKey('ed', 'EdDSA')
    const bare = ['one', 'rsa', 'ed'].map((kid): JWK => {
      const { alg: _, use: __, ...jwk } = issuer.jwk(kid)
      return jwk
    })
    show(...bare)
    expect(await find('one')).toMatchObject({ algorithms: ['ES256'] })
    expect(await find('rsa', 'RS256')).toMatchObject({ algorithms: ['RS256'] })
    expect(await find('rsa', 'PS256')).toBeNull()
    expect(await find('ed', 'EdDSA')).toMatchObject({ algorithms: ['EdDSA', 'Ed25519'] })
  })

  test('a token without a key id has the only one that fits, and none of two', async () => {
    expect(await find(undefined)).not.toBeNull()
    show(ec(), { ...ec(), kid: 'other' })
    nowMs = 11 * minuteMs
    await find(undefined)
    await eventually(async () => (await find('other')) !== null)
    expect(await find(undefined)).toBeNull()
  })

  test.each<[string, () => JWK]>([
    ['a secret', () => ({ kty: 'oct', k: Buffer.alloc(32).toString('base64url'), alg: 'ES256' })],
    [
      'a private key',
      () => generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey.export({ format: 'jwk' }) as JWK,
    ],
    ['an encryption key', () => ({ ...ec(), use: 'enc' })],
    ['an algorithm that does not fit', () => ({ ...ec(), alg: 'ES384' })],
    ['a kind nobody knows', () => ({ ...ec(), kty: 'AKP' })],
    ['a point that is not on its curve', () => ({ ...ec(), x: ec().y, y: ec().x }) as JWK],
    [
      'a curve of little use',
      () => generateKeyPairSync('ec', { namedCurve: 'secp256k1' }).publicKey.export({ format: 'jwk' }) as JWK,
    ],
  ])('%s is passed over, and the others are good', async (_what, make) => {
    show({ ...make(), kid: 'odd' }, ec())
    expect(await find('one')).not.toBeNull()
    expect(await find('odd')).toBeNull()
  })

  test('RFC 8725 §3.5: a short RSA key is passed over', async () => {
    const short = generateKeyPairSync('rsa', { modulusLength: 1024 }).publicKey.export({ format: 'jwk' })
    show({ ...(short as JWK), kid: 'short', alg: 'RS256' }, ec())
    expect(await find('one')).not.toBeNull()
    expect(await find('short', 'RS256')).toBeNull()
  })
})
