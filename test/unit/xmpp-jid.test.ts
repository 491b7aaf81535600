import { describe, expect, it } from 'vitest'
import { bareOf, isDeviceResource, parseJid, toText } from '../../adapters/xmpp/jid.ts'
import { domains, localparts, resources } from '../vectors/jid.ts'

describe('an address (RFC 7622 §3)', () => {
  it.each([
    ['juliet@example.com', 'juliet@example.com'],
    ['juliet@example.com/foo', 'juliet@example.com/foo'],
    ['juliet@example.com/foo bar', 'juliet@example.com/foo bar'],
    ['juliet@example.com/foo@bar', 'juliet@example.com/foo@bar'],
    ['foo@a.example.com/a@b/c', 'foo@a.example.com/a@b/c'],
    ['example.com/foo@bar', 'example.com/foo@bar'],
    ['EXAMPLE.com', 'example.com'],
    ['Fußball@EXAMPLE.com/Ⅳ', 'fußball@example.com/Ⅳ'],
    ['juliet@[::1]/x', 'juliet@[::1]/x'],
    ['"juliet"@example.com', null],
    ['foo bar@example.com', null],
    ['juliet@example.com/', null],
    ['@example.com/', null],
    ['@example.com', null],
    ['juliet@', null],
    ['juliet@/x', null],
    ['a@@x', null],
    ['a@b@x', null],
    ['henry\u2163@example.com', null],
    ['\u265a@example.com', null],
    ['juliet@', null],
    ['/foobar', null],
    ['', null],
    [' @x', null],
    ['\u200d@x', null],
  ])('%j is %j', (input, text) => {
    const jid = parseJid(input)
    expect(jid && toText(jid)).toBe(text)
  })

  it('prepares each part by its own rules', () => {
    for (const [, input, canonical] of localparts) {
      if (/[@/]/.test(input) || input === '') continue
      expect(parseJid(`${input}@ex.org`)?.local).toBe(canonical ?? undefined)
    }
    for (const [, input, canonical] of resources) {
      expect(parseJid(`a@ex.org/${input}`)?.resource).toBe(canonical ?? undefined)
    }
    for (const [, input, canonical] of domains) {
      if (input.includes('/')) continue
      expect(parseJid(`a@${input}`)?.domain).toBe(canonical ?? undefined)
    }
  })

  it('has a bare form', () => {
    expect(bareOf({ local: 'a', domain: 'b', resource: 'c' })).toBe('a@b')
    expect(bareOf({ local: '', domain: 'b', resource: 'c' })).toBe('b')
  })
})

describe('the resources of MQTT devices (DESIGN §3)', () => {
  it.each([
    ['mqtt-abcdefgh23', true],
    ['MQTT-ABCDEFGH23', true],
    ['mqtt-abcdefgh2', false],
    ['mqtt-abcdefgh234', false],
    ['mqtt-abcdefgh01', false],
    ['phone', false],
  ])('%s: %s', (resource, isDevice) => {
    expect(isDeviceResource(resource)).toBe(isDevice)
  })
})
