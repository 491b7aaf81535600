// MQTT 5 §3.10, §3.11; 3.1.1 §3.10, §3.11: UNSUBSCRIBE and UNSUBACK
import { protocolError } from './malformed.ts'
import { type Level, packetType } from './packet-type.ts'
import { Reader } from './primitives.ts'
import { type Properties, readProperties, writeProperties } from './properties.ts'
import { readPacketId } from './subscribe.ts'
import { Writer } from './writer.ts'

export type Unsubscribe = Readonly<{
  packetId: number
  /** As they were sent; one that is no filter matches no subscription. */
  filters: readonly string[]
  /** {} in 3.1.1. */
  properties: Properties
}>

/** @throws Malformed 0x81, 0x82 */
export function readUnsubscribe(buffer: Buffer, start: number, end: number, level: Level): Unsubscribe {
  const reader = new Reader(buffer, start, end)
  const packetId = readPacketId(reader)
  const properties = level === 5 ? readProperties(reader, packetType.UNSUBSCRIBE) : {}
  const filters: string[] = []
  while (reader.left > 0) filters.push(reader.string()) // [MQTT-3.10.3-1]
  if (filters.length === 0) throw protocolError('An UNSUBSCRIBE without a filter') // [MQTT-3.10.3-2]
  return { packetId, filters, properties }
}

/** One reason code per filter, in their order [MQTT-3.11.3-1]; 3.1.1 has none. */
export function writeUnsuback(
  level: Level,
  packetId: number,
  reasonCodes: readonly number[],
  properties?: Properties,
): Buffer {
  const writer = new Writer().u16(packetId)
  if (level === 5) writeProperties(writer, properties).bytes(Uint8Array.from(reasonCodes))
  return writer.toPacket(packetType.UNSUBACK << 4)
}
