import { describe, expect, it } from 'vitest'
import { frame, INCOMPLETE, readFrame } from '../../broker/mqtt/codec/frame.ts'
import { Malformed } from '../../broker/mqtt/codec/malformed.ts'
import { invalidAuths, validAuths } from './mqtt-auth.ts'
import { invalidConnects, validConnects } from './mqtt-connect.ts'
import { decodePacket, type Invalid, MAX_PACKET_BYTES, type Valid } from './mqtt-decode.ts'
import { invalidHandshakes, validHandshakes } from './mqtt-handshakes.ts'
import { bytes } from './mqtt-notation.ts'
import { invalidOthers, validDisconnects, validOthers } from './mqtt-others.ts'
import { invalidPubacks, invalidPublishes, validPubacks, validPublishes } from './mqtt-publish.ts'
import { invalidSubscribes, invalidUnsubscribes, validSubscribes, validUnsubscribes } from './mqtt-subscribe.ts'

const connect = {
  level: 5,
  cleanStart: true,
  isVersion31: false,
  keepAlive: 0,
  clientId: '',
  username: null,
  password: null,
  will: null,
  properties: {},
}
const publish = { dup: false, qos: 0, retain: false, packetId: 0, topic: '', properties: {}, payload: '' }

type Suite = readonly [packet: string, defaults: object, valid: readonly Valid[], invalid: readonly Invalid[]]
const suites: readonly Suite[] = [
  ['CONNECT', connect, validConnects, invalidConnects],
  ['PUBLISH', publish, validPublishes, invalidPublishes],
  ['PUBACK', { reasonCode: 0 }, validPubacks, invalidPubacks],
  ['PUBREC, PUBREL, PUBCOMP', { reasonCode: 0 }, validHandshakes, invalidHandshakes],
  ['SUBSCRIBE', { subscriptionIdentifier: 0, properties: {} }, validSubscribes, invalidSubscribes],
  ['UNSUBSCRIBE', { properties: {} }, validUnsubscribes, invalidUnsubscribes],
  ['DISCONNECT', { reasonCode: 0, properties: {} }, validDisconnects, []],
  ['AUTH', { reasonCode: 0x18, method: 'M' }, validAuths, invalidAuths],
  ['Other packets', {}, validOthers, invalidOthers],
]

/** The packet between other bytes: nothing outside may count. */
function embed(packet: Buffer, poison: number): { buffer: Buffer; start: number; end: number } {
  const around = Buffer.alloc(16, poison)
  return { buffer: Buffer.concat([around, packet, around]), start: 16, end: 16 + packet.length }
}

/** The same packet with `body` bytes of its body and a remaining length to match. */
function shorten(packet: Buffer, body: number): Buffer {
  readFrame(packet, 0, packet.length, MAX_PACKET_BYTES)
  const kept = packet.subarray(frame.bodyStart, frame.bodyStart + body)
  const length = body < 128 ? [body] : [(body & 0x7f) | 0x80, body >> 7]
  return Buffer.concat([packet.subarray(0, 1), Buffer.from(length), kept])
}

for (const [packetName, defaults, valid, invalid] of suites) {
  describe(`${packetName} is read`, () => {
    it.each(valid)('$name', ({ level = 5, packet, is }) => {
      for (const poison of [0x00, 0x7f, 0x80, 0xff]) {
        const { buffer, start, end } = embed(bytes(packet), poison)
        expect(decodePacket(level, buffer, start, end)).toEqual({ next: end, packet: { ...defaults, ...is } })
      }
    })

    it.each(valid)('waits for the rest at every cut: $name', ({ packet }) => {
      const whole = bytes(packet)
      for (let end = 0; end < whole.length; end++) {
        expect(readFrame(whole, 0, end, MAX_PACKET_BYTES)).toBe(INCOMPLETE)
      }
    })

    it.each(valid)('a shorter body is another packet or malformed: $name', ({ level = 5, packet }) => {
      const whole = bytes(packet)
      readFrame(whole, 0, whole.length, MAX_PACKET_BYTES)
      for (let body = frame.bodyEnd - frame.bodyStart - 1; body >= 0; body--) {
        const cut = shorten(whole, body)
        const results = [0x00, 0x61, 0xff].map((poison) => {
          const { buffer, start, end } = embed(cut, poison)
          return outcome(() => decodePacket(level, buffer, start, end))
        })
        expect(results[1]).toEqual(results[0])
        expect(results[2]).toEqual(results[0])
      }
    })
  })

  describe.skipIf(invalid.length === 0)(`${packetName} is refused`, () => {
    it.each(invalid)('$name', ({ level = 5, packet, reason }) => {
      for (const poison of [0x00, 0x61, 0xff]) {
        const { buffer, start, end } = embed(bytes(packet), poison)
        expect(outcome(() => decodePacket(level, buffer, start, end))).toEqual({ reason })
      }
    })
  })
}

function outcome(decode: () => object | null): object | null {
  try {
    return decode()
  } catch (error) {
    if (error instanceof Malformed) return { reason: error.reason }
    throw error
  }
}
