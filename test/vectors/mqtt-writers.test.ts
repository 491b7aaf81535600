import { describe, expect, it } from 'vitest'
import { encodeAck, MAX_ACK_BYTES, writeAck } from '../../broker/mqtt/codec/ack.ts'
import { writeConnack } from '../../broker/mqtt/codec/connack.ts'
import { writeDisconnect } from '../../broker/mqtt/codec/disconnect.ts'
import { packetType } from '../../broker/mqtt/codec/packet-type.ts'
import { PINGRESP } from '../../broker/mqtt/codec/ping.ts'
import { writeSuback } from '../../broker/mqtt/codec/subscribe.ts'
import { writeUnsuback } from '../../broker/mqtt/codec/unsubscribe.ts'
import { varintLength, Writer, writeString, writeVarint } from '../../broker/mqtt/codec/writer.ts'
import { bytes } from './mqtt-notation.ts'

const { PUBACK, PUBREC, PUBREL, PUBCOMP } = packetType
const refused = (reasonCode: number) => writeConnack(4, { sessionPresent: false, reasonCode })

const packets: readonly (readonly [name: string, written: Buffer, expected: string])[] = [
  ['3.1.1, CONNACK', writeConnack(4, { sessionPresent: false, reasonCode: 0 }), '20 02 00 00'],
  [
    '3.1.1, CONNACK, session present [MQTT-3.2.2-2]',
    writeConnack(4, { sessionPresent: true, reasonCode: 0 }),
    '20 02 01 00',
  ],
  [
    '3.1.1, a refusal has no session [MQTT-3.2.2-4]',
    writeConnack(4, { sessionPresent: true, reasonCode: 0x86 }),
    '20 02 00 04',
  ],
  ['3.1.1, unsupported version is 1 (table 3.1)', refused(0x84), '20 02 00 01'],
  ['3.1.1, client id refused is 2 (table 3.1)', refused(0x85), '20 02 00 02'],
  ['3.1.1, server unavailable is 3 (table 3.1)', refused(0x88), '20 02 00 03'],
  ['3.1.1, server busy is 3 (table 3.1)', refused(0x89), '20 02 00 03'],
  ['3.1.1, quota exceeded is 3 (table 3.1)', refused(0x97), '20 02 00 03'],
  ['3.1.1, bad user name or password is 4 (table 3.1)', refused(0x86), '20 02 00 04'],
  ['3.1.1, not authorized is 5 (table 3.1)', refused(0x87), '20 02 00 05'],
  ['3.1.1, banned is 5 (table 3.1)', refused(0x8a), '20 02 00 05'],
  ['3.1.1, bad authentication method is 5 (table 3.1)', refused(0x8c), '20 02 00 05'],
  ['3.1.1, a refused Will is 5 (table 3.1)', refused(0x9b), '20 02 00 05'],
  ['5, CONNACK [MQTT-2.2.2-1]', writeConnack(5, { sessionPresent: true, reasonCode: 0 }), '20 ~ 01 00 {}'],
  [
    '5, CONNACK refused [MQTT-3.2.2-6]',
    writeConnack(5, { sessionPresent: true, reasonCode: 0x87, properties: { reasonString: 'no' } }),
    `20 ~ 00 87 { 1f 'no' }`,
  ],
  [
    '5, CONNACK with what the server offers (§3.2.2.3)',
    writeConnack(5, {
      sessionPresent: false,
      reasonCode: 0,
      properties: {
        assignedClientIdentifier: 'x',
        receiveMaximum: 64,
        maximumQoS: 1,
        maximumPacketSize: 65_536,
        topicAliasMaximum: 10,
        sharedSubscriptionAvailable: 0,
      },
    }),
    `20 ~ 00 00 { 12 'x' 21 00 40 22 00 0a 24 01 27 00 01 00 00 2a 00 }`,
  ],
  ['3.1.1, PUBACK', encodeAck(4, PUBACK, 1, 0x87), '40 02 00 01'],
  ['5, PUBACK (§3.4.2.1)', encodeAck(5, PUBACK, 1, 0), '40 02 00 01'],
  ['5, PUBACK refused (§3.4.2.2.1)', encodeAck(5, PUBACK, 1, 0x87), '40 03 00 01 87'],
  [
    '5, PUBACK with properties',
    encodeAck(5, PUBACK, 0xffff, 0, { userProperties: [['cb-id', '1']] }),
    `40 ~ ff ff 00 { 26 'cb-id' '1' }`,
  ],
  ['3.1.1, PUBREC', encodeAck(4, PUBREC, 1, 0x87), '50 02 00 01'],
  [
    '5, PUBREC refused, with properties (§3.5.2.1)',
    encodeAck(5, PUBREC, 1, 0x97, { reasonString: 'full' }),
    `50 ~ 00 01 97 { 1f 'full' }`,
  ],
  ['3.1.1, PUBREL has a flag [MQTT-3.6.1-1]', encodeAck(4, PUBREL, 0x1234, 0x92), '62 02 12 34'],
  ['5, PUBREL of what is not known (§3.6.2.1)', encodeAck(5, PUBREL, 0x1234, 0x92), '62 03 12 34 92'],
  ['3.1.1, PUBCOMP', encodeAck(4, PUBCOMP, 1, 0x92), '70 02 00 01'],
  ['5, PUBCOMP of what is not known (§3.7.2.1)', encodeAck(5, PUBCOMP, 1, 0x92), '70 03 00 01 92'],
  [
    '3.1.1, SUBACK knows one failure (3.1.1 §3.9.3)',
    writeSuback(4, 1, [0, 1, 0x80, 0x87, 0x8f]),
    '90 ~ 00 01 00 01 80 80 80',
  ],
  ['5, SUBACK [MQTT-3.9.3-1]', writeSuback(5, 1, [1, 0x87, 0x8f]), '90 ~ 00 01 {} 01 87 8f'],
  ['5, SUBACK with properties', writeSuback(5, 1, [0], { reasonString: 'r' }), `90 ~ 00 01 { 1f 'r' } 00`],
  ['3.1.1, UNSUBACK has no payload (3.1.1 §3.11.3)', writeUnsuback(4, 1, [0, 0x11]), 'b0 02 00 01'],
  ['5, UNSUBACK [MQTT-3.11.3-1]', writeUnsuback(5, 1, [0, 0x11]), 'b0 ~ 00 01 {} 00 11'],
  ['5, DISCONNECT', writeDisconnect(0x8e), 'e0 01 8e'],
  ['5, DISCONNECT with a reason string', writeDisconnect(0x81, 'why'), `e0 ~ 81 { 1f 'why' }`],
  ['PINGRESP', PINGRESP, 'd0 00'],
]

describe('The server writes', () => {
  it.each(packets)('%s', (_name, written, expected) => {
    expect(written).toEqual(bytes(expected))
  })
})

describe('writeAck', () => {
  it.each([
    [4, PUBACK, 0, '40 02 12 34'],
    [4, PUBACK, 0x87, '40 02 12 34'],
    [5, PUBACK, 0, '40 02 12 34'],
    [5, PUBACK, 0x87, '40 03 12 34 87'],
    [5, PUBREC, 0x87, '50 03 12 34 87'],
    [4, PUBREL, 0, '62 02 12 34'],
    [5, PUBREL, 0x92, '62 03 12 34 92'],
    [5, PUBCOMP, 0, '70 02 12 34'],
  ] as const)('writes in place and nothing else: level %s, type %s, reason %s', (level, type, reasonCode, expected) => {
    const target = Buffer.alloc(3 + MAX_ACK_BYTES + 3, 0xee)
    const end = writeAck(target, 3, level, type, 0x1234, reasonCode)
    expect(target.subarray(3, end)).toEqual(bytes(expected))
    expect(target.subarray(0, 3).every((byte) => byte === 0xee)).toBe(true)
    expect(target.subarray(end).every((byte) => byte === 0xee)).toBe(true)
  })
})

describe('A Variable Byte Integer takes as few bytes as it can [MQTT-1.5.5-1]', () => {
  it.each([
    [0, '00'],
    [127, '7f'],
    [128, '80 01'],
    [16_383, 'ff 7f'],
    [16_384, '80 80 01'],
    [2_097_151, 'ff ff 7f'],
    [2_097_152, '80 80 80 01'],
    [268_435_455, 'ff ff ff 7f'],
  ])('%s', (value, expected) => {
    const buffer = Buffer.alloc(4)
    const end = writeVarint(buffer, 0, value)
    expect(buffer.subarray(0, end)).toEqual(bytes(expected))
    expect(varintLength(value)).toBe(end)
  })

  it('has no form above 268,435,455', () => {
    expect(() => varintLength(268_435_456)).toThrow(RangeError)
  })
})

describe('A field that has no form on the wire is refused instead of cut', () => {
  it('a string of 65,536 bytes', () => {
    expect(() => new Writer().string('é'.repeat(32_768))).toThrow(RangeError)
    expect(new Writer().string('é'.repeat(32_767)).toBuffer()).toHaveLength(65_536)
  })

  it('binary data of 65,536 bytes', () => {
    expect(() => new Writer().binary(Buffer.alloc(65_536))).toThrow(RangeError)
  })

  it('a string that is longer than its buffer', () => {
    expect(() => writeString(Buffer.alloc(3), 0, 'ab')).toThrow(RangeError)
    expect(writeString(Buffer.alloc(4), 0, 'ab')).toBe(4)
  })
})

describe('A packet grows past what its writer began with', () => {
  it.each([
    ['u8', (writer: Writer) => writer.u8(7), '07'],
    ['u16', (writer: Writer) => writer.u16(7), '00 07'],
    ['u32', (writer: Writer) => writer.u32(7), '00 00 00 07'],
    ['varint', (writer: Writer) => writer.varint(128), '80 01'],
    ['string', (writer: Writer) => writer.string('a'), `'a'`],
    ['binary', (writer: Writer) => writer.binary(Buffer.from('a')), `'a'`],
    ['bytes', (writer: Writer) => writer.bytes(Buffer.from('a')), '61'],
  ])('at any place: %s', (_name, write, expected) => {
    const field = bytes(expected)
    for (let before = 0; before < 300; before++) {
      const written = write(new Writer().bytes(Buffer.alloc(before, 'x'))).toBuffer()
      expect(written).toEqual(Buffer.concat([Buffer.alloc(before, 'x'), field]))
    }
  })
})
