// The settings of `auth.jwt`: each alone is a fault, and so is a key that does not fit.
import { generateKeyPairSync } from 'node:crypto'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, test } from 'vitest'
import { loadConfig } from '../../broker/config-load.ts'

const folder = mkdtempSync(join(tmpdir(), 'clearbox-config-jwt-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

type Env = Record<`CLEARBOX_JWT_${string}`, string>

function load(env: Env) {
  const loaded = loadConfig({ file: join(folder, 'none.yaml'), env, fileRequired: false })
  return 'faults' in loaded
    ? { faults: loaded.faults.map((fault) => fault.replaceAll(`${folder}/`, '')) }
    : { jwt: loaded.config.auth.jwt, faults: [] }
}

let files = 0
function fileOf(content: string | Buffer): string {
  const file = join(folder, `key${++files}`)
  writeFileSync(file, content)
  return file
}

const pem = { type: 'spki', format: 'pem' } as const
const ec = generateKeyPairSync('ec', { namedCurve: 'P-256' })
const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 }).publicKey.export(pem)
const shortRsa = generateKeyPairSync('rsa', { modulusLength: 1024 }).publicKey.export(pem)
const ed = generateKeyPairSync('ed25519').publicKey.export(pem)
const issuer: Env = { CLEARBOX_JWT_ISSUER: 'https://issuer.example/', CLEARBOX_JWT_AUDIENCE: 'chat' }
const withKey = (content: string | Buffer, alg: string): Env => ({
  ...issuer,
  CLEARBOX_JWT_KEY_FILE: fileOf(content),
  CLEARBOX_JWT_ALG: alg,
})
const withSet = (url: string): Env => ({ ...issuer, CLEARBOX_JWT_JWKS: url })

test('nothing is set by default', () => {
  const jwt = { issuer: null, audience: null, keyFile: null, alg: null, jwks: null, accountClaim: 'sub' }
  expect(load({})).toEqual({ jwt, faults: [] })
})

test('the file has them in a section of a section', () => {
  const file = fileOf(
    'auth:\n  jwt:\n    issuer: me\n    audience: chat\n    jwks: https://me/keys\n    accountClaim: user\n',
  )
  const loaded = loadConfig({ file, env: {}, fileRequired: true })
  const jwt = {
    issuer: 'me',
    audience: 'chat',
    keyFile: null,
    alg: null,
    jwks: 'https://me/keys',
    accountClaim: 'user',
  }
  expect(loaded).toMatchObject({ config: { auth: { jwtSecret: null, jwt } } })
  expect('config' in loaded && Object.isFrozen(loaded.config.auth.jwt)).toBe(true)
})

test.each([
  ['ES256', ec.publicKey.export(pem)],
  ['RS256', rsa],
  ['PS512', rsa],
  ['EdDSA', ed],
  ['HS256', 'x'.repeat(32)],
  ['HS512', Buffer.alloc(64, 0xff)],
])('a key for %s is good', (alg, content) => {
  expect(load(withKey(content, alg))).toMatchObject({ jwt: { alg }, faults: [] })
})

describe('faults', () => {
  test('what is missing is told all at once', () => {
    expect(load({ CLEARBOX_JWT_ACCOUNT_CLAIM: 'email' }).faults).toEqual([
      'CLEARBOX_JWT_ACCOUNT_CLAIM: expected auth.jwt.issuer beside it, found none',
      'CLEARBOX_JWT_ACCOUNT_CLAIM: expected auth.jwt.audience beside it, found none',
      'CLEARBOX_JWT_ACCOUNT_CLAIM: expected auth.jwt.keyFile or auth.jwt.jwks beside it, found none',
    ])
    expect(load({ CLEARBOX_JWT_ISSUER: 'me', CLEARBOX_JWT_ALG: 'HS256' }).faults).toEqual([
      'CLEARBOX_JWT_ISSUER: expected auth.jwt.audience beside it, found none',
      'CLEARBOX_JWT_ISSUER: expected auth.jwt.keyFile or auth.jwt.jwks beside it, found none',
      'CLEARBOX_JWT_ALG: expected auth.jwt.keyFile beside it, found none',
    ])
    expect(load({ ...issuer, CLEARBOX_JWT_KEY_FILE: fileOf('') }).faults).toEqual([
      'CLEARBOX_JWT_KEY_FILE: expected auth.jwt.alg beside it, found none',
    ])
  })

  test('a key and a key set exclude each other', () => {
    const env = { ...withKey('x'.repeat(32), 'HS256'), ...withSet('https://issuer.example/keys') }
    expect(load(env).faults).toEqual([
      'CLEARBOX_JWT_KEY_FILE: expected no key beside auth.jwt.jwks, whose keys say it themselves',
    ])
  })

  test.each([
    ['HS256', 'x'.repeat(31), 'expected a secret for HS256 of at least 32 bytes, found 31'],
    ['HS256', `${'x'.repeat(31)}\n`, 'expected a secret for HS256 of at least 32 bytes, found 31'],
    ['HS384', 'x'.repeat(47), 'expected a secret for HS384 of at least 48 bytes, found 47'],
    ['HS512', `${'x'.repeat(63)}\r\n`, 'expected a secret for HS512 of at least 64 bytes, found 63'],
    ['HS256', rsa, 'expected a secret for HS256, found a key in PEM'],
    ['RS256', ed, 'expected a public key for RS256 in PEM, found one that does not fit'],
    ['RS256', shortRsa, 'expected a public key for RS256 in PEM, found one that does not fit'],
    ['ES384', ec.publicKey.export(pem), 'expected a public key for ES384 in PEM, found one that does not fit'],
    [
      'ES256',
      ec.privateKey.export({ ...pem, type: 'pkcs8' }),
      'expected a public key for ES256 in PEM, found a private key',
    ],
    ['ES256', 'x'.repeat(64), 'expected a public key for ES256 in PEM, found none'],
  ])('%s with what is no key for it (%#)', (alg, content, fault) => {
    const { faults } = load(withKey(content, alg))
    expect(faults).toEqual([`CLEARBOX_JWT_KEY_FILE: ${fault} in key${files}`])
  })

  test('a file that cannot be read, or is none', () => {
    const env = (file: string) => ({ ...issuer, CLEARBOX_JWT_KEY_FILE: file, CLEARBOX_JWT_ALG: 'HS256' })
    const where = 'CLEARBOX_JWT_KEY_FILE: expected'
    expect(load(env(`${folder}/none`)).faults).toEqual([`${where} a readable file, found none (ENOENT)`])
    expect(load(env(fileOf(Buffer.alloc(64 * 1024 + 1)))).faults).toEqual([
      `${where} a key in key${files}, found more than 64 KiB`,
    ])
  })

  test('no algorithm but those of signatures and HMACs', () => {
    for (const alg of ['none', 'hs256', 'RSA-OAEP', 'ES256K']) {
      const fault = expect.stringMatching(/^CLEARBOX_JWT_ALG: expected HS256, .* or EdDSA, found/)
      expect(load(withKey('x'.repeat(32), alg)).faults).toEqual([fault])
    }
  })

  test.each([
    ['https://issuer.example/keys', true],
    ['http://localhost:8080/keys', true],
    ['http://127.0.0.2/keys', true],
    ['http://[::1]/keys', true],
    ['http://issuer.example/keys', false],
    ['http://127.0.0.1.example/keys', false],
    ['http://10.0.0.1/keys', false],
    ['https://user:secret@issuer.example/keys', false],
    ['file:///etc/keys', false],
    ['issuer.example/keys', false],
  ])('a key set at %s: %s', (url, isGood) => {
    expect(load(withSet(url)).faults).toHaveLength(isGood ? 0 : 1)
  })
})
