import { describe, expect, it } from 'vitest'
import { connectLevel, readConnect } from '../../broker/mqtt/codec/connect.ts'
import { frame, INCOMPLETE, readFrame } from '../../broker/mqtt/codec/frame.ts'
import { Malformed, UnsupportedVersion } from '../../broker/mqtt/codec/malformed.ts'
import {
  encodePublish,
  forwardedProperties,
  readPublish,
  readPublishProperties,
  splitForwarded,
} from '../../broker/mqtt/codec/publish.ts'
import { bytes } from './mqtt-notation.ts'

const none = Buffer.alloc(0)

function thrown(run: () => unknown): unknown {
  try {
    return run()
  } catch (error) {
    return error
  }
}

describe('readFrame', () => {
  it('finds packets one behind the other', () => {
    const buffer = bytes(`c0 00 40 02 00 01 30 03 00 01 "a"`)
    expect(readFrame(buffer, 0, 11, 100)).toBe(2)
    expect({ ...frame }).toEqual({ type: 12, flags: 0, bodyStart: 2, bodyEnd: 2 })
    expect(readFrame(buffer, 2, 11, 100)).toBe(6)
    expect({ ...frame }).toEqual({ type: 4, flags: 0, bodyStart: 4, bodyEnd: 6 })
    expect(readFrame(buffer, 6, 11, 100)).toBe(11)
    expect(readFrame(buffer, 11, 11, 100)).toBe(INCOMPLETE)
  })

  it('says where an incomplete packet will end as soon as that is known', () => {
    const buffer = bytes('30 80 01')
    expect(readFrame(buffer, 0, 2, 1000)).toBe(INCOMPLETE)
    expect(frame.bodyEnd).toBe(0)
    expect(readFrame(buffer, 0, 3, 1000)).toBe(INCOMPLETE)
    expect(frame.bodyEnd).toBe(131)
  })

  it('counts the whole packet against the limit, before its body has come [MQTT-3.2.2-15]', () => {
    expect(readFrame(bytes('30 80 01'), 0, 3, 131)).toBe(INCOMPLETE)
    expect(thrown(() => readFrame(bytes('30 80 01'), 0, 3, 130))).toMatchObject({ reason: 0x95 })
  })

  it('refuses reserved flags at the first byte [MQTT-2.1.3-1]', () => {
    for (const first of [0x00, 0x11, 0x42, 0x60, 0x80, 0xa0, 0xc8, 0xe1, 0xf4]) {
      expect(thrown(() => readFrame(Buffer.from([first]), 0, 1, 100))).toMatchObject({ reason: 0x81 })
    }
  })

  it('takes the longest remaining length that there is (§2.1.4)', () => {
    expect(readFrame(bytes('30 ff ff ff 7f'), 0, 5, 268_435_460)).toBe(INCOMPLETE)
    expect(frame.bodyEnd).toBe(268_435_460)
  })
})

describe('A CONNECT of another version tells how it can be answered [MQTT-3.1.2-2]', () => {
  it.each([
    ['older than 3.1', `'MQIsdp' 02 02 00 00 'a'`, 2, 4],
    ['a bridge of Mosquitto', `'MQTT' 84 02 00 00 'a'`, 0x84, 4],
    ['a version to come', `'MQTT' 06 02 00 00 'a'`, 6, 5],
  ])('%s', (_name, notation, level, answer) => {
    const body = bytes(notation)
    const error = thrown(() => readConnect(body, 0, body.length))
    expect(error).toBeInstanceOf(UnsupportedVersion)
    expect(error).toMatchObject({ reason: 0x84, level, answer })
  })

  it('what is not MQTT at all is not a version of it [MQTT-3.1.2-1]', () => {
    const body = bytes(`'HTTP' 04 02 00 00 'a'`)
    const error = thrown(() => readConnect(body, 0, body.length))
    expect(error).toBeInstanceOf(Malformed)
    expect(error).not.toBeInstanceOf(UnsupportedVersion)
  })

  it('a malformed CONNECT still tells its level', () => {
    const levels = [`'MQTT' 04 03`, `'MQTT' 05 03`, `'MQTT' 06`, `'MQTT'`, ''].map((notation) => {
      const body = bytes(notation)
      return connectLevel(body, 0, body.length)
    })
    expect(levels).toEqual([4, 5, null, null, null])
  })
})

describe('encodePublish', () => {
  const publishing = {
    topic: 'a/b',
    payload: Buffer.from('hi'),
    qos: 0,
    retain: false,
    dup: false,
    properties: none,
  } as const

  it.each([
    ['3.1.1, QoS 0', 4, {}, `30 ~ 'a/b' "hi"`, -1],
    ['3.1.1, all flags', 4, { qos: 1, retain: true, dup: true }, `3b ~ 'a/b' 00 00 "hi"`, 7],
    ['3.1.1 has no properties', 4, { properties: bytes('01 01') }, `30 ~ 'a/b' "hi"`, -1],
    ['5, QoS 1', 5, { qos: 1 }, `32 ~ 'a/b' 00 00 {} "hi"`, 7],
    ['5, QoS 2', 5, { qos: 2 }, `34 ~ 'a/b' 00 00 {} "hi"`, 7],
    ['5, properties', 5, { properties: bytes('01 01') }, `30 ~ 'a/b' { 01 01 } "hi"`, -1],
    ['a topic in bytes', 5, { topic: Buffer.from('ü'), payload: none }, `30 ~ 'ü' {}`, -1],
    ['a long payload', 4, { qos: 1, payload: Buffer.alloc(300, 'x') }, `32 ~ 'a/b' 00 00 "${'x'.repeat(300)}"`, 8],
  ] as const)('%s', (_name, level, more, expected, packetIdAt) => {
    expect(encodePublish(level, { ...publishing, ...more })).toEqual({ packet: bytes(expected), packetIdAt })
  })

  it('refuses a topic that has no form on the wire', () => {
    expect(() => encodePublish(4, { ...publishing, topic: 'x'.repeat(65_536) })).toThrow(RangeError)
  })
})

describe('Properties of a PUBLISH on their way through', () => {
  const received = bytes(`02 00 00 00 3c 26 'b' '1' 01 01 08 'r' 26 'a' '2' 09 'c' 03 't' 26 'b' '1'`)
  const split = splitForwarded(readPublishProperties(received, 0, received.length))

  it('the expiry is taken off, the rest travels unaltered [MQTT-3.3.2-4] -15 -16 -17 -18 -20', () => {
    expect(split.messageExpiryInterval).toBe(60)
    expect(split.encoded).toEqual(bytes(`01 01 03 't' 08 'r' 09 'c' 26 'b' '1' 26 'a' '2' 26 'b' '1'`))
  })

  it('nothing becomes nothing', () => {
    expect(splitForwarded({})).toEqual({ encoded: none, messageExpiryInterval: null })
  })

  it('a receiver without additions shares the bytes', () => {
    expect(forwardedProperties(split.encoded, { subscriptionIds: [], messageExpiryInterval: null })).toBe(split.encoded)
  })

  it('what is left of the expiry and all subscription identifiers are added [MQTT-3.3.2-6], [MQTT-3.3.4-4]', () => {
    const encoded = forwardedProperties(bytes('01 01'), { subscriptionIds: [1, 128, 1], messageExpiryInterval: 59 })
    expect(encoded).toEqual(bytes('02 00 00 00 3b 0b 01 0b 80 01 0b 01 01 01'))
  })
})

describe('readPublish', () => {
  it('gives places in the buffer and never the property length', () => {
    const buffer = bytes(`32 ~ 'a/b' 00 0a { 01 01 } "hi"`)
    readFrame(buffer, 0, buffer.length, 100)
    expect({ ...readPublish(buffer, frame, 5) }).toEqual({
      dup: false,
      qos: 1,
      retain: false,
      topicStart: 4,
      topicEnd: 7,
      packetId: 10,
      propertiesStart: 10,
      propertiesEnd: 12,
      payloadStart: 12,
      payloadEnd: 14,
    })
  })
})
