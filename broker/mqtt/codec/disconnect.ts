// MQTT 5 §3.14, 3.1.1 §3.14: DISCONNECT
import { malformed, protocolError } from './malformed.ts'
import { type Level, packetType } from './packet-type.ts'
import { Reader } from './primitives.ts'
import { type Properties, readProperties, writeProperties } from './properties.ts'
import { Writer } from './writer.ts'

export type Disconnect = Readonly<{
  /** 0: the Will is removed. 0 in 3.1.1. */
  reasonCode: number
  /** {} in 3.1.1. */
  properties: Properties
}>

// Table 3-10, those that a client may send.
const clientReasons = new Set([0x00, 0x04, 0x80, 0x81, 0x82, 0x83, 0x90, 0x93, 0x94, 0x95, 0x96, 0x97, 0x98, 0x99])

/** Reads a client's DISCONNECT. @throws Malformed 0x81, 0x82 */
export function readDisconnect(buffer: Buffer, start: number, end: number, level: Level): Disconnect {
  if (start === end) return { reasonCode: 0, properties: {} } // §3.14.2.1
  if (level === 4) throw malformed('A DISCONNECT of MQTT 3.1.1 has no content') // 3.1.1 §3.14.1
  const reader = new Reader(buffer, start, end)
  const reasonCode = reader.u8()
  if (!clientReasons.has(reasonCode)) throw protocolError('A DISCONNECT has an unknown reason code') // [MQTT-3.14.2-1]
  const properties = reader.left > 0 ? readProperties(reader, packetType.DISCONNECT) : {} // §3.14.2.2.1
  reader.finish()
  return { reasonCode, properties }
}

/** The server's DISCONNECT, which MQTT 3.1.1 does not have. */
export function writeDisconnect(reasonCode: number, reasonString?: string): Buffer {
  const writer = new Writer().u8(reasonCode)
  if (reasonString !== undefined) writeProperties(writer, { reasonString })
  return writer.toPacket(packetType.DISCONNECT << 4)
}
