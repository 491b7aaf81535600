// Hot path: readAck (without properties) and writeAck do not allocate (bench/: p2p QoS 1, QoS 2).
// MQTT 5 §3.4 to §3.7, 3.1.1 §3.4 to §3.7: PUBACK, PUBREC, PUBREL, PUBCOMP
import { malformed, protocolError } from './malformed.ts'
import { type Level, packetType } from './packet-type.ts'
import { byteAt, Reader } from './primitives.ts'
import { type Properties, readProperties, writeProperties } from './properties.ts'
import { Writer, writeU16 } from './writer.ts'

export type Ack = {
  packetId: number
  /** 0 in 3.1.1. */
  reasonCode: number
}

const ack: Ack = { packetId: 0, reasonCode: 0 }

const { PUBACK, PUBREC, PUBREL, PUBCOMP } = packetType
export type AckType = typeof PUBACK | typeof PUBREC | typeof PUBREL | typeof PUBCOMP

/** Of PUBACK and PUBREC (tables 3-4, 3-5). */
const taken: ReadonlySet<number> = new Set([0x00, 0x10, 0x80, 0x83, 0x87, 0x90, 0x91, 0x97, 0x99])
/** Of PUBREL and PUBCOMP (tables 3-6, 3-7). */
const released: ReadonlySet<number> = new Set([0x00, 0x92])

/** The most that `writeAck` writes. */
export const MAX_ACK_BYTES = 5

/** PUBREL and PUBCOMP for a packet id that is not in use. */
export const packetIdNotFound = 0x92

/** Reads any of the four. The result is one object that the next call overwrites. @throws Malformed 0x81, 0x82 */
export function readAck(buffer: Buffer, start: number, end: number, type: AckType, level: Level): Ack {
  const length = end - start
  if (length < 2 || (level === 4 && length > 2)) throw malformed('An acknowledgement has the wrong length') // 3.1.1 §3.4.1
  ack.packetId = (byteAt(buffer, start) << 8) | byteAt(buffer, start + 1)
  if (ack.packetId === 0) throw protocolError('Packet identifier 0') // [MQTT-2.2.1-5]
  ack.reasonCode = length > 2 ? byteAt(buffer, start + 2) : 0 // §3.4.2.1
  const reasons = type === PUBACK || type === PUBREC ? taken : released
  // [MQTT-3.4.2-1], [MQTT-3.5.2-1], [MQTT-3.6.2-1], [MQTT-3.7.2-1]
  if (!reasons.has(ack.reasonCode)) throw protocolError('An acknowledgement has an unknown reason code')
  if (length > 3) checkProperties(buffer, start + 3, end, type) // §3.4.2.2.1
  return ack
}

function checkProperties(buffer: Buffer, start: number, end: number, type: AckType): void {
  const reader = new Reader(buffer, start, end)
  readProperties(reader, type)
  reader.finish()
}

/** [MQTT-3.6.1-1] PUBREL alone has a flag. */
const firstByte = (type: AckType): number => (type << 4) | (type === PUBREL ? 2 : 0)

/** Writes at most MAX_ACK_BYTES at `offset` and returns the offset behind them. 3.1.1 has no reason code. */
export function writeAck(
  target: Buffer,
  offset: number,
  level: Level,
  type: AckType,
  packetId: number,
  reasonCode: number,
): number {
  const short = level === 4 || reasonCode === 0
  target[offset] = firstByte(type)
  target[offset + 1] = short ? 2 : 3
  const at = writeU16(target, offset + 2, packetId)
  if (short) return at
  target[at] = reasonCode
  return at + 1
}

/** A whole acknowledgement; in 3.1.1 reason code and properties are left out. */
export function encodeAck(
  level: Level,
  type: AckType,
  packetId: number,
  reasonCode: number,
  properties?: Properties,
): Buffer {
  const writer = new Writer().u16(packetId)
  if (level === 5 && (reasonCode !== 0 || properties !== undefined)) {
    writer.u8(reasonCode)
    if (properties !== undefined) writeProperties(writer, properties)
  }
  return writer.toPacket(firstByte(type))
}
