import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { toAccountName, toDomain, toLocalpart, toResource } from '../../broker/account-name.ts'
import { domains, localparts, resources } from '../vectors/jid.ts'

describe('the localpart of an address (RFC 7622 §3.3)', () => {
  it.each(localparts)('%s: %j', (_why, input, canonical) => {
    expect(toLocalpart(input)).toBe(canonical)
  })

  it('is stable: the canonical spelling of a canonical spelling is itself', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 12 }), (input) => {
        const once = toLocalpart(input)
        if (once !== null) expect(toLocalpart(once)).toBe(once)
      }),
    )
  })

  it('answers alike by the fast path and by the whole profile', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme-ascii', minLength: 1, maxLength: 8 }), (input) => {
        const viaProfile = toLocalpart(`${input}é`)
        expect(toLocalpart(input)).toBe(viaProfile === null ? null : viaProfile.slice(0, -1))
      }),
    )
  })
})

describe('the resource of an address (RFC 7622 §3.4)', () => {
  it.each(resources)('%s: %j', (_why, input, canonical) => {
    expect(toResource(input)).toBe(canonical)
  })
})

describe('the domain of an address (RFC 7622 §3.2)', () => {
  it.each(domains)('%s: %j', (_why, input, canonical) => {
    expect(toDomain(input)).toBe(canonical)
    expect(toDomain(input)).toBe(canonical)
  })
})

describe('an account name', () => {
  it.each([
    ['alice', 'alice'],
    ['ALICE', 'alice'],
    ['alice@ex.org', 'alice'],
    ['Alice@EX.ORG.', 'alice'],
    ['alice@other.org', null],
    ['alice@', null],
    ['@ex.org', null],
    ['alice@ex.org/phone', null],
    ['a@b@ex.org', null],
    ['', null],
  ])('%j becomes %j', (input, name) => {
    expect(toAccountName(input, 'ex.org')).toBe(name)
  })

  it('knows its own domain in A-labels and U-labels', () => {
    expect(toAccountName('a@xn--bcher-kva.example', 'bücher.example')).toBe('a')
    expect(toAccountName('a@bücher.example', 'xn--bcher-kva.example')).toBe('a')
  })
})
