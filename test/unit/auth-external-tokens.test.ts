// RFC 7519 §7.2, RFC 8725 §3: which tokens of the configured issuer are good.
import { generateKeyPairSync } from 'node:crypto'
import { rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { createLocalJWKSet, exportSPKI, SignJWT, UnsecuredJWT } from 'jose'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { createExternalTokens, type ExternalTokens } from '../../broker/auth/external-tokens.ts'
import type { Config, JwtAlgorithm } from '../../broker/config.ts'
import { createLogger } from '../../broker/log.ts'
import { audience, type Issuer, issuerName, secondsFromNow, startIssuer } from '../helpers/issuer.ts'
import { type ScratchFolder, scratchFolder } from '../helpers/scratch-folder.ts'

const logger = createLogger('silent')
const algorithms = ['ES256', 'ES384', 'ES512', 'RS256', 'RS512', 'PS256', 'EdDSA'] as const

let issuer: Issuer
let folder: ScratchFolder
let tokens: ExternalTokens
beforeAll(async () => {
  folder = await scratchFolder()
  issuer = await startIssuer()
  for (const alg of algorithms) await issuer.addKey(alg, alg)
  tokens = create({ jwks: issuer.url })
})
afterAll(() => Promise.all([issuer.stop(), folder.remove()]))

function create(settings: Partial<Config['auth']['jwt']>): ExternalTokens {
  const all = { issuer: issuerName, audience, keyFile: null, alg: null, jwks: null, accountClaim: 'sub', ...settings }
  return createExternalTokens({ jwt: all, domain: 'example.org', logger })
}

function fileOf(content: string | Buffer): string {
  const file = join(folder.path, `key-${Math.random()}`)
  writeFileSync(file, content)
  return file
}

describe('a key set', () => {
  test.each(algorithms)('a token signed with %s says whom it is for and until when', async (alg) => {
    const exp = secondsFromNow(60)
    const token = await issuer.sign(alg, { sub: 'alice', exp })
    expect(await tokens.read(token)).toEqual({ name: 'alice', expiresAt: exp * 1000 })
  })

  test('the account has every spelling that a user name has, in this domain only', async () => {
    const read = async (sub: unknown) => tokens.read(await issuer.sign('ES256', { sub }))
    expect(await read('Alice@EXAMPLE.org')).toMatchObject({ name: 'alice' })
    for (const other of ['alice@other.org', 'a b', '', 5, { name: 'alice' }]) expect(await read(other)).toBe('refused')
  })

  test('another claim may name the account', async () => {
    const byEmail = create({ jwks: issuer.url, accountClaim: 'https://example.org/claims/user' })
    const claims = { sub: '8c1f', 'https://example.org/claims/user': 'bob@example.org' }
    expect(await byEmail.read(await issuer.sign('RS256', claims))).toMatchObject({ name: 'bob' })
    expect(await byEmail.read(await issuer.sign('RS256', { sub: 'bob' }))).toBeNull()
  })

  test('one of several audiences is enough', async () => {
    const token = await issuer.sign('ES256', { sub: 'alice', aud: ['web', audience] })
    expect(await tokens.read(token)).toMatchObject({ name: 'alice' })
  })

  test('RFC 9864: EdDSA may be called by the name of its curve', async () => {
    const token = await issuer.sign('EdDSA', { sub: 'alice' }, { alg: 'Ed25519' })
    expect(await tokens.read(token)).toMatchObject({ name: 'alice' })
  })

  test('RFC 7519 §4.1.5: the issuer’s clock may be a little ahead', async () => {
    expect(await tokens.read(await issuer.sign('ES256', { sub: 'alice', nbf: secondsFromNow(3) }))).not.toBeNull()
  })

  test('a token that has ended is refused to the second, and is no forgery', async () => {
    for (const ago of [0, 1, 3600]) {
      expect(await tokens.read(await issuer.sign('ES256', { sub: 'alice', exp: secondsFromNow(-ago) }))).toBe('refused')
    }
  })
})

describe('attacks', () => {
  const good = { iss: issuerName, aud: audience, sub: 'alice', exp: secondsFromNow(600) }
  const foreign = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey
  const signForeign = (header: { alg: string; [name: string]: unknown }) =>
    new SignJWT(good).setProtectedHeader(header).sign(foreign)
  /** The public key, which everybody knows, as the secret of an HMAC (RFC 8725 §2.1). */
  const confuse = (kid: string) =>
    new SignJWT(good).setProtectedHeader({ alg: 'HS256', kid }).sign(Buffer.from(JSON.stringify(issuer.jwk(kid))))
  const tamper = (token: string, at: number) =>
    token
      .split('.')
      .map((part, n) => (n === at ? `${part.slice(0, -6)}AAAAAA` : part))
      .join('.')

  test.each([
    ['without a signature', async () => new UnsecuredJWT(good).encode()],
    ['whose signature was cut off', async () => (await issuer.sign('ES256', good)).replace(/[^.]*$/, '')],
    ['whose claims were changed', async () => tamper(await issuer.sign('ES256', good), 1)],
    ['whose signature was changed', async () => tamper(await issuer.sign('RS256', good), 2)],
    ['of another key under a known id', () => signForeign({ alg: 'ES256', kid: 'ES256' })],
    ['that brings its own key', () => signForeign({ alg: 'ES256', kid: 'ES256', jwk: issuer.jwk('ES256') })],
    ['that names another key set', () => signForeign({ alg: 'ES256', kid: 'x', jku: 'https://evil.example/' })],
    ['of an unknown key', () => signForeign({ alg: 'ES256', kid: 'unknown' })],
    ['that takes an EC key for a secret', () => confuse('ES256')],
    ['that takes an RSA key for a secret', () => confuse('RS256')],
    ['whose algorithm is not that of its key', () => issuer.sign('RS256', good, { alg: 'PS256' })],
    ['of another issuer', () => issuer.sign('ES256', { ...good, iss: 'https://other.example' })],
    ['for another audience', () => issuer.sign('ES256', { ...good, aud: 'mail' })],
    ['without an audience', () => issuer.sign('ES256', { ...good, aud: undefined })],
    ['without an end', () => issuer.sign('ES256', { ...good, exp: undefined })],
    ['whose end is no number', () => issuer.sign('ES256', { ...good, exp: '9999999999' })],
    ['that is not valid yet', () => issuer.sign('ES256', { ...good, nbf: secondsFromNow(60) })],
    ['without an account', () => issuer.sign('ES256', { ...good, sub: undefined })],
    ['that is none', async () => 'eyJhbGciOiJub25lIn0.e30.e30'],
  ])('RFC 8725: a token %s is nobody’s', async (_what, make) => {
    expect(await tokens.read(await make())).toBeNull()
  })
})

describe('one key', () => {
  const keyOf = (kid: JwtAlgorithm) => createLocalJWKSet({ keys: [issuer.jwk(kid)] })({ alg: kid, kid })

  test('a public key in PEM is good for its algorithm alone, with and without a key id', async () => {
    const rsa = create({ keyFile: fileOf(await exportSPKI(await keyOf('RS256'))), alg: 'RS256' })
    expect(await rsa.read(await issuer.sign('RS256', { sub: 'alice' }))).toMatchObject({ name: 'alice' })
    expect(await rsa.read(await issuer.sign('RS256', { sub: 'alice' }, { kid: undefined }))).toMatchObject({
      name: 'alice',
    })
    expect(await rsa.read(await issuer.sign('RS256', { sub: 'alice' }, { alg: 'RS512' }))).toBeNull()
  })

  test('a secret is good for its algorithm alone; the line break at the end of its file does not count', async () => {
    const secret = 'a secret of at least thirty-two bytes'
    const hmac = create({ keyFile: fileOf(`${secret}\n`), alg: 'HS256' })
    const claims = { iss: issuerName, aud: audience, sub: 'alice', exp: secondsFromNow(60) }
    const sign = (alg: string) => new SignJWT(claims).setProtectedHeader({ alg }).sign(Buffer.from(secret))
    expect(await hmac.read(await sign('HS256'))).toMatchObject({ name: 'alice' })
    expect(await hmac.read(await sign('HS512'))).toBeNull()
    expect(await hmac.read(await issuer.sign('ES256', { sub: 'alice' }))).toBeNull()
  })

  test('whose file has gone since the settings were checked stops the start', () => {
    const file = fileOf('x'.repeat(32))
    rmSync(file)
    expect(() => create({ keyFile: file, alg: 'HS256' })).toThrow(/ENOENT/)
  })
})

test('the issuer is not asked about tokens that do not claim to be its own', async () => {
  const away = await startIssuer()
  await away.addKey('one', 'ES256')
  away.answerWith((response) => void response.destroy())
  const ofAway = create({ jwks: away.url })
  expect(await ofAway.read(await away.sign('one', { sub: 'alice', iss: 'https://other.example' }))).toBeNull()
  const own = await away.sign('one', { sub: 'alice' })
  await expect(ofAway.read(own)).rejects.toMatchObject({ code: 'overload' })
  await away.stop()
})

test('without an issuer no token is good', async () => {
  const none = create({ issuer: null, audience: null })
  expect(await none.read(await issuer.sign('ES256', { sub: 'alice' }))).toBeNull()
})
