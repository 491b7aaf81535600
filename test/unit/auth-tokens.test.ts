import { decodeJwt, SignJWT, UnsecuredJWT } from 'jose'
import { expect, test } from 'vitest'
import { createTokens } from '../../broker/auth/tokens.ts'

const secret = Buffer.alloc(32, 7)
const tokens = createTokens({ secret, domain: 'example.org' })
const claims = { account: 5, name: 'alice', credentialVersion: 2, session: 's1' }

function sign(payload: Record<string, unknown>, key = secret, alg = 'HS256') {
  return new SignJWT(payload).setProtectedHeader({ alg }).sign(key)
}

const good = { iss: 'example.org', aud: 'clearbox', sub: 'alice', acc: 5, ver: 2, sid: 's1' }
const later = Math.floor(Date.now() / 1000) + 60

test('a token says whom it is for, names its login and lasts an hour', async () => {
  const { accessToken, expiresIn } = await tokens.issue(claims)
  expect(expiresIn).toBe(3600)
  expect(await tokens.read(accessToken)).toEqual(claims)
  const payload = decodeJwt(accessToken)
  expect(Number(payload.exp) - Number(payload.iat)).toBe(3600)
  expect(payload.sid).toBe('s1')
  expect(payload.jti).not.toBe(decodeJwt((await tokens.issue(claims)).accessToken).jti)
})

test('a token with all claims is read', async () => {
  expect(await tokens.read(await sign({ ...good, exp: later }))).toEqual(claims)
})

test('a token that was good once is told apart from a forged one', async () => {
  const ended = { ...good, exp: later - 120 }
  expect(await tokens.read(await sign(ended))).toBe('expired')
  expect(await tokens.read(await sign(ended, Buffer.alloc(32, 8)))).toBeNull()
})

test.each([
  ['without an end', () => sign(good)],
  ['of another key', () => sign({ ...good, exp: later }, Buffer.alloc(32, 8))],
  ['of another algorithm', () => sign({ ...good, exp: later }, Buffer.alloc(64, 7), 'HS512')],
  ['without a signature', () => new UnsecuredJWT({ ...good, exp: later }).encode()],
  ['of another issuer', () => sign({ ...good, iss: 'other.org', exp: later })],
  ['for another audience', () => sign({ ...good, aud: 'other', exp: later })],
  ['without a login', () => sign({ ...good, sid: undefined, exp: later })],
  ['without an account', () => sign({ ...good, acc: undefined, exp: later })],
  ['that is none', () => 'Bearer'],
])('RFC 8725: a token %s is refused', async (_what, make) => {
  expect(await tokens.read(await make())).toBeNull()
})
