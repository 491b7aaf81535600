// The properties of a PUBLISH are read in two ways: checked in place on the hot path, decoded at doors. They must agree.
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { Malformed } from '../../broker/mqtt/codec/malformed.ts'
import { encodeProperties } from '../../broker/mqtt/codec/properties.ts'
import { readPublishProperties } from '../../broker/mqtt/codec/publish.ts'
import { scanPublishProperties } from '../../broker/mqtt/codec/publish-properties.ts'
import { bytes } from '../vectors/mqtt-notation.ts'
import { propertyRows } from '../vectors/mqtt-properties.ts'

type Outcome = Readonly<{ alias: number; expiry: number | null }> | number

function outcome(read: () => Outcome): Outcome {
  try {
    return read()
  } catch (fault) {
    if (fault instanceof Malformed) return fault.reason
    throw fault
  }
}

/** With bytes in front and behind, as in a socket's chunk. */
function scanned(properties: Buffer): Outcome {
  const chunk = Buffer.concat([Buffer.from([0xee]), properties, Buffer.from([0x26, 0, 1])])
  return outcome(() => {
    const { topicAlias, expiryAt } = scanPublishProperties(chunk, 1, 1 + properties.length)
    return { alias: topicAlias, expiry: expiryAt < 0 ? null : chunk.readUInt32BE(expiryAt) }
  })
}

function decoded(properties: Buffer): Outcome {
  return outcome(() => {
    const { topicAlias, messageExpiryInterval } = readPublishProperties(properties, 0, properties.length)
    return { alias: topicAlias ?? 0, expiry: messageExpiryInterval ?? null }
  })
}

const text = fc.string({ unit: 'grapheme', maxLength: 12 }).filter((value) => !value.includes('\0'))
const optional = fc.record(
  {
    payloadFormatIndicator: fc.integer({ min: 0, max: 1 }),
    messageExpiryInterval: fc.integer({ min: 0, max: 0xffff_ffff }),
    contentType: text,
    responseTopic: text.filter((value) => value !== '' && !/[+#]/.test(value)),
    correlationData: fc.uint8Array({ maxLength: 20 }).map((array) => Buffer.from(array)),
    topicAlias: fc.integer({ min: 1, max: 0xffff }),
    userProperties: fc.array(fc.tuple(text, text), { maxLength: 4 }),
  },
  { requiredKeys: [] },
)

describe('properties of PUBLISH, in place and decoded', () => {
  it('agree on all that is right', () => {
    fc.assert(
      fc.property(optional, (properties) => {
        const encoded = encodeProperties(properties)
        const { topicAlias = 0, messageExpiryInterval = null } = properties
        expect(scanned(encoded)).toEqual({ alias: topicAlias, expiry: messageExpiryInterval })
        expect(decoded(encoded)).toEqual(scanned(encoded))
      }),
      { numRuns: 500 },
    )
  })

  it('agree on what is wrong, byte by byte', () => {
    const mutation = fc.tuple(fc.nat(), fc.integer({ min: 0, max: 255 }), fc.nat())
    fc.assert(
      fc.property(optional, mutation, (properties, [at, byte, cut]) => {
        const encoded = encodeProperties(properties)
        if (encoded.length > 0) encoded[at % encoded.length] = byte
        const part = encoded.subarray(0, encoded.length - (cut % 3))
        const [one, other] = [scanned(part), decoded(part)]
        expect(typeof one).toBe(typeof other)
        if (typeof one === 'object') expect(one).toEqual(other)
      }),
      { numRuns: 2000 },
    )
  })

  it.each(propertyRows.filter(([id]) => id !== '0b'))('%s %s alone, twice and cut', (id, _name, value) => {
    const one = bytes(`${id} ${value}`)
    for (const properties of [one, Buffer.concat([one, one]), one.subarray(0, -1)]) {
      expect(scanned(properties)).toEqual(decoded(properties))
    }
  })

  it('a subscription identifier is refused [MQTT-3.3.4-6]', () => {
    expect([scanned(bytes('0b 01')), decoded(bytes('0b 01'))]).toEqual([0x82, 0x82])
  })

  it.each([
    ["08 ''", 0x82],
    ["08 'a/+'", 0x82],
    ["08 '#'", 0x82],
    ['01 02', 0x82],
    ['23 00 00', 0x94],
    ['26 00 01 ff 00 00', 0x81],
    ['03 00 01 00', 0x81],
  ])('%s is refused', (notation, reason) => {
    expect([scanned(bytes(notation)), decoded(bytes(notation))]).toEqual([reason, reason])
  })
})
