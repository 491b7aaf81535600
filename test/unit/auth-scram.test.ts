import { createHash, createHmac } from 'node:crypto'
import { describe, expect, test } from 'vitest'
import {
  falseVerifiers,
  type Mechanism,
  makeVerifier,
  makeVerifiers,
  matchesVerifiers,
  preparePassword,
} from '../../broker/auth/scram.ts'

describe('verifiers', () => {
  test.each<[string, Mechanism, string, string, string, string]>([
    [
      'RFC 5802 §5',
      'SCRAM-SHA-1',
      'QSXCR+Q6sek8bf92',
      'n=user,r=fyko+d2lbbFgONRv9qkxdawL,r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,s=QSXCR+Q6sek8bf92,i=4096,c=biws,r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j',
      'v0X8v3Bz2T0CJGbJQyF0X+HI4Ts=',
      'rmF9pqV8S7suAoZWja4dJRkFsKQ=',
    ],
    [
      'RFC 7677 §3',
      'SCRAM-SHA-256',
      'W22ZaJ0SNY7soEsUEjb6gQ==',
      'n=user,r=rOprNGfwEbeRWgbNEkqO,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096,c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0',
      'dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=',
      '6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=',
    ],
  ])(
    '%s: the example exchange is accepted and answered',
    async (_section, mechanism, salt, message, proof, signature) => {
      const verifier = await makeVerifier(mechanism, 'pencil', Buffer.from(salt, 'base64'), 4096)
      const hash = mechanism === 'SCRAM-SHA-1' ? 'sha1' : 'sha256'
      const clientSignature = createHmac(hash, verifier.storedKey).update(message).digest()
      const clientKey = Buffer.from(proof, 'base64').map((byte, index) => byte ^ (clientSignature[index] ?? 0))
      expect(createHash(hash).update(clientKey).digest()).toEqual(verifier.storedKey)
      expect(createHmac(hash, verifier.serverKey).update(message).digest('base64')).toBe(signature)
    },
  )

  test('a password makes verifiers of both kinds with salts of their own', async () => {
    const [first, second] = await Promise.all([makeVerifiers('secret'), makeVerifiers('secret')])
    expect(first['SCRAM-SHA-1']).toMatchObject({ iterations: 10_000, storedKey: expect.any(Buffer) })
    expect(first['SCRAM-SHA-256'].salt).toHaveLength(16)
    expect(first['SCRAM-SHA-256'].salt).not.toEqual(second['SCRAM-SHA-256'].salt)
    expect(await matchesVerifiers('secret', first)).toBe(true)
    expect(await matchesVerifiers('Secret', first)).toBe(false)
  })

  test('an unknown name has steady verifiers of the usual form that differ by name and installation', () => {
    const secret = Buffer.alloc(32, 1)
    const made = falseVerifiers(secret, 'nobody')
    expect(made).toEqual(falseVerifiers(secret, 'nobody'))
    expect(made).not.toEqual(falseVerifiers(secret, 'nobodi'))
    expect(made).not.toEqual(falseVerifiers(Buffer.alloc(32, 2), 'nobody'))
    expect(made['SCRAM-SHA-1']).toMatchObject({ iterations: 10_000 })
    expect(made['SCRAM-SHA-1'].storedKey).toHaveLength(20)
    expect(made['SCRAM-SHA-256'].serverKey).toHaveLength(32)
    expect(made['SCRAM-SHA-256'].salt).toHaveLength(16)
  })
})

describe('RFC 8265 §4.2: passwords', () => {
  test('one spelling for composed characters and for spaces; case and width stay', async () => {
    expect(preparePassword('e\u0301t\u00e9\u00a0\u3000X')).toBe('\u00e9t\u00e9  X')
    expect(preparePassword('\uff21')).toBe('\uff21')
  })

  test.each([
    ['empty', ''],
    ['a NUL', 'a\0b'],
    ['a line break', 'a\n'],
    ['too long', 'x'.repeat(1024)],
  ])('a password that is %s is refused', async (_what, password) => {
    expect(preparePassword(password)).toBeNull()
    await expect(makeVerifiers(password)).rejects.toThrow(RangeError)
  })
})
