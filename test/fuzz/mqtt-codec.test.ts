import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { Malformed } from '../../broker/mqtt/codec/malformed.ts'
import { type Level, packetType } from '../../broker/mqtt/codec/packet-type.ts'
import { Reader } from '../../broker/mqtt/codec/primitives.ts'
import {
  encodeProperties,
  type Properties,
  readProperties,
  writeProperties,
} from '../../broker/mqtt/codec/properties.ts'
import { encodePublish } from '../../broker/mqtt/codec/publish.ts'
import { Writer } from '../../broker/mqtt/codec/writer.ts'
import { runs } from '../helpers/hostile-fuzz.ts'
import { validConnects } from '../vectors/mqtt-connect.ts'
import { decodePacket } from '../vectors/mqtt-decode.ts'
import { validHandshakes } from '../vectors/mqtt-handshakes.ts'
import { bytes } from '../vectors/mqtt-notation.ts'
import { validDisconnects, validOthers } from '../vectors/mqtt-others.ts'
import { validPubacks, validPublishes } from '../vectors/mqtt-publish.ts'
import { validSubscribes, validUnsubscribes } from '../vectors/mqtt-subscribe.ts'

type Decoded = { packets: object[]; used: number; reason: number | null }

/** As a connection reads: packet after packet until bytes are missing or wrong. Anything thrown but Malformed fails the test. */
function decodeAll(level: Level, buffer: Buffer, start: number, end: number): Decoded {
  const packets: object[] = []
  let offset = start
  try {
    for (let found = decodePacket(level, buffer, offset, end); found !== null; ) {
      expect(found.next).toBeGreaterThan(offset)
      expect(found.next).toBeLessThanOrEqual(end)
      packets.push(found.packet)
      offset = found.next
      found = decodePacket(level, buffer, offset, end)
    }
    return { packets, used: offset - start, reason: null }
  } catch (error) {
    if (error instanceof Malformed) return { packets, used: offset - start, reason: error.reason }
    throw error
  }
}

/** The result must be the same whatever lies around the bytes. */
function decodeAmongPoison(level: Level, input: Uint8Array): Decoded {
  const [first, ...others] = [0x00, 0x61, 0x80, 0xff].map((poison) => {
    const around = Buffer.alloc(8, poison)
    return decodeAll(level, Buffer.concat([around, input, around]), 8, 8 + input.length)
  })
  for (const other of others) expect(other).toEqual(first)
  if (first === undefined) throw new Error('Nothing was decoded')
  return first
}

const level = fc.constantFrom<Level>(4, 5)
const samples = [
  validConnects,
  validPublishes,
  validPubacks,
  validHandshakes,
  validSubscribes,
  validUnsubscribes,
  validDisconnects,
  validOthers,
]
  .flat()
  .map((vector) => ({ level: vector.level ?? 5, packet: bytes(vector.packet) }))
const sample = fc.constantFrom(...samples)
const text = fc.string({ unit: 'binary', maxLength: 40 }).filter((value) => !value.includes('\0'))
const binary = fc.uint8Array({ maxLength: 40 }).map((value) => Buffer.from(value))

type Cut = { at: number; remove: number; insert: Uint8Array }
const cut: fc.Arbitrary<Cut> = fc.record({
  at: fc.nat({ max: 80 }),
  remove: fc.nat({ max: 4 }),
  insert: fc.oneof(
    fc.uint8Array({ maxLength: 4 }),
    fc.constantFrom(Uint8Array.of(0), Uint8Array.of(0xff), Uint8Array.of(0x80)),
  ),
})

function mutate(packet: Buffer, { at, remove, insert }: Cut): Buffer {
  const place = at % (packet.length + 1)
  return Buffer.concat([packet.subarray(0, place), insert, packet.subarray(place + remove)])
}

/** Sets the remaining length right again, so that the mutation reaches the body's reader. */
function reframe(packet: Buffer): Buffer {
  return new Writer().bytes(packet.subarray(2)).toPacket(packet[0] ?? 0)
}

describe('The codec meets hostile bytes: it throws Malformed or nothing, and never looks past the end', () => {
  it('random bytes', () => {
    fc.assert(
      fc.property(level, fc.uint8Array({ maxLength: 200 }), (l, input) => void decodeAmongPoison(l, input)),
      runs(2000),
    )
  })

  it('random bodies behind a fixed header that is right', () => {
    const headers = [0x10, 0x30, 0x32, 0x3d, 0x40, 0x50, 0x62, 0x70, 0x82, 0xa2, 0xc0, 0xe0]
    const packet = fc.tuple(fc.constantFrom(...headers), fc.uint8Array({ maxLength: 120 }))
    fc.assert(
      fc.property(level, packet, (l, [first, body]) => {
        const { used, reason, packets } = decodeAmongPoison(l, new Writer().bytes(body).toPacket(first))
        expect(reason !== null || packets.length === 1).toBe(true)
        expect(used === 0).toBe(reason !== null)
      }),
      runs(2000),
    )
  })

  it('valid packets with bytes changed, lost and added', () => {
    fc.assert(
      fc.property(sample, fc.array(cut, { minLength: 1, maxLength: 3 }), level, (valid, cuts, other) => {
        const mutated = cuts.reduce(mutate, valid.packet)
        decodeAmongPoison(valid.level, mutated)
        decodeAmongPoison(other, reframe(mutated))
      }),
      runs(3000),
    )
  })

  it('the whole is the same in whatever chunks it comes', () => {
    fc.assert(
      fc.property(level, fc.array(sample, { maxLength: 6 }), fc.array(fc.nat({ max: 30 })), (l, chosen, sizes) => {
        const stream = Buffer.concat(chosen.filter((one) => one.level === l).map((one) => one.packet))
        const packets: object[] = []
        let from = 0
        let end = 0
        for (const size of [...sizes, stream.length]) {
          end = Math.min(stream.length, end + size)
          const decoded = decodeAll(l, stream, from, end)
          packets.push(...decoded.packets)
          from += decoded.used
        }
        expect(packets).toEqual(decodeAll(l, stream, 0, stream.length).packets)
        expect(from).toBe(stream.length)
      }),
      runs(100),
    )
  })

  it('a packet of nothing but user properties is read to its end', () => {
    const packet = new Writer().u16(1).u8(0x61)
    const list = Buffer.concat(Array.from({ length: 50_000 }, () => bytes(`26 '' ''`)))
    const publish = packet.varint(list.length).bytes(list).toPacket(0x30)
    const [read] = decodeAll(5, publish, 0, publish.length).packets
    expect(read).toMatchObject({ properties: { userProperties: { length: 50_000 } } })
  })
})

const publishProperties: fc.Arbitrary<Properties> = fc.record(
  {
    payloadFormatIndicator: fc.constantFrom(0, 1),
    messageExpiryInterval: fc.nat({ max: 0xffff_ffff }),
    contentType: text,
    responseTopic: text.filter((value) => value !== '' && !/[+#]/.test(value)),
    correlationData: binary,
    topicAlias: fc.integer({ min: 1, max: 0xffff }),
    userProperties: fc.array(fc.tuple(text, text), { minLength: 1, maxLength: 4 }),
  },
  { requiredKeys: [] },
)

const connectProperties: fc.Arbitrary<Properties> = fc.record(
  {
    sessionExpiryInterval: fc.nat({ max: 0xffff_ffff }),
    receiveMaximum: fc.integer({ min: 1, max: 0xffff }),
    maximumPacketSize: fc.integer({ min: 1, max: 0xffff_ffff }),
    topicAliasMaximum: fc.nat({ max: 0xffff }),
    requestProblemInformation: fc.constantFrom(0, 1),
    userProperties: fc.array(fc.tuple(text, text), { minLength: 1, maxLength: 4 }),
  },
  { requiredKeys: [] },
)

describe('What is written is read back', () => {
  it('properties', () => {
    fc.assert(
      fc.property(publishProperties, (properties) => {
        const encoded = writeProperties(new Writer(), properties).toBuffer()
        const reader = new Reader(encoded, 0, encoded.length)
        expect(readProperties(reader, packetType.PUBLISH)).toEqual(properties)
        reader.finish()
      }),
      runs(100),
    )
  })

  it('PUBLISH', () => {
    const publishing = fc.record({
      topic: text.filter((value) => value !== '' && !/[+#]/.test(value)),
      payload: binary,
      qos: fc.constantFrom<0 | 1 | 2>(0, 1, 2),
      retain: fc.boolean(),
      dup: fc.boolean(),
      properties: publishProperties,
    })
    fc.assert(
      fc.property(level, publishing, fc.integer({ min: 1, max: 0xffff }), (l, wanted, id) => {
        const dup = wanted.dup && wanted.qos > 0
        const { packet, packetIdAt } = encodePublish(l, {
          ...wanted,
          dup,
          properties: encodeProperties(wanted.properties),
        })
        if (packetIdAt >= 0) packet.writeUInt16BE(id, packetIdAt)
        expect(decodeAll(l, packet, 0, packet.length).packets).toEqual([
          {
            ...wanted,
            dup,
            packetId: wanted.qos > 0 ? id : 0,
            payload: wanted.payload.toString('latin1'),
            properties: l === 5 ? wanted.properties : {},
          },
        ])
      }),
      runs(100),
    )
  })

  it('CONNECT of MQTT 5', () => {
    const connect = fc.record({
      cleanStart: fc.boolean(),
      keepAlive: fc.nat({ max: 0xffff }),
      clientId: text,
      username: fc.option(text),
      password: fc.option(binary),
      properties: connectProperties,
    })
    fc.assert(
      fc.property(connect, (wanted) => {
        const { username, password } = wanted
        const flags = (wanted.cleanStart ? 2 : 0) | (username === null ? 0 : 0x80) | (password === null ? 0 : 0x40)
        const writer = new Writer().string('MQTT').u8(5).u8(flags).u16(wanted.keepAlive)
        writeProperties(writer, wanted.properties).string(wanted.clientId)
        if (username !== null) writer.string(username)
        if (password !== null) writer.binary(password)
        const packet = writer.toPacket(0x10)
        expect(decodeAll(5, packet, 0, packet.length).packets).toEqual([
          { ...wanted, level: 5, isVersion31: false, will: null },
        ])
      }),
      runs(100),
    )
  })
})
