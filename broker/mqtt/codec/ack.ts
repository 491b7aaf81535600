// Hot path: readAck (without properties) and writePuback do not allocate (bench/: p2p QoS 1). MQTT 5 §3.4, 3.1.1 §3.4: PUBACK
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

const FIRST_BYTE = packetType.PUBACK << 4

/** The most that `writePuback` writes. */
export const MAX_PUBACK_BYTES = 5

/**
 * Reads a PUBACK. The result is one object that the next call overwrites. Acknowledgements of QoS 2 are protocol errors
 * while the server grants QoS 1 at most. @throws Malformed 0x81, 0x82
 */
export function readAck(buffer: Buffer, start: number, end: number, type: number, level: Level): Ack {
  if (type !== packetType.PUBACK) throw protocolError('QoS 2 was not granted') // [MQTT-3.2.2-11]
  const length = end - start
  if (length < 2 || (level === 4 && length > 2)) throw malformed('A PUBACK has the wrong length') // 3.1.1 §3.4.1
  ack.packetId = (byteAt(buffer, start) << 8) | byteAt(buffer, start + 1)
  if (ack.packetId === 0) throw protocolError('Packet identifier 0') // [MQTT-2.2.1-5]
  ack.reasonCode = length > 2 ? byteAt(buffer, start + 2) : 0 // §3.4.2.1
  if (!isPubackReason(ack.reasonCode)) throw protocolError('A PUBACK has an unknown reason code') // [MQTT-3.4.2-1]
  if (length > 3) checkProperties(buffer, start + 3, end) // §3.4.2.2.1
  return ack
}

function checkProperties(buffer: Buffer, start: number, end: number): void {
  const reader = new Reader(buffer, start, end)
  readProperties(reader, packetType.PUBACK)
  reader.finish()
}

function isPubackReason(code: number): boolean {
  switch (code) {
    case 0x00:
    case 0x10:
    case 0x80:
    case 0x83:
    case 0x87:
    case 0x90:
    case 0x91:
    case 0x97:
    case 0x99:
      return true
    default:
      return false
  }
}

/** Writes at most MAX_PUBACK_BYTES at `offset` and returns the offset behind them. 3.1.1 has no reason code. */
export function writePuback(
  target: Buffer,
  offset: number,
  level: Level,
  packetId: number,
  reasonCode: number,
): number {
  const short = level === 4 || reasonCode === 0
  target[offset] = FIRST_BYTE
  target[offset + 1] = short ? 2 : 3
  const at = writeU16(target, offset + 2, packetId)
  if (short) return at
  target[at] = reasonCode
  return at + 1
}

/** A whole PUBACK; in 3.1.1 reason code and properties are left out. */
export function encodePuback(level: Level, packetId: number, reasonCode: number, properties?: Properties): Buffer {
  const writer = new Writer().u16(packetId)
  if (level === 5 && (reasonCode !== 0 || properties !== undefined)) {
    writer.u8(reasonCode)
    if (properties !== undefined) writeProperties(writer, properties)
  }
  return writer.toPacket(FIRST_BYTE)
}
