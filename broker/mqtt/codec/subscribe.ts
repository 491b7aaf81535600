// MQTT 5 §3.8, §3.9; 3.1.1 §3.8, §3.9: SUBSCRIBE and SUBACK
import { isShared } from '../../shared-filter.ts'
import { malformed, protocolError } from './malformed.ts'
import { type Level, packetType } from './packet-type.ts'
import { Reader } from './primitives.ts'
import { type Properties, readProperties, writeProperties } from './properties.ts'
import { isTopicFilter } from './topic-name.ts'
import { Writer } from './writer.ts'

export type Subscription = Readonly<{
  filter: string
  /** False: not a filter; its place in the SUBACK says 0x8F (3.1.1: 0x80). */
  valid: boolean
  /** The most that the client asks for. */
  qos: 0 | 1 | 2
  noLocal: boolean
  retainAsPublished: boolean
  /** 0: send retained messages; 1: only to a new subscription; 2: never. */
  retainHandling: 0 | 1 | 2
}>

export type Subscribe = Readonly<{
  packetId: number
  /** 0: none. */
  subscriptionIdentifier: number
  subscriptions: readonly Subscription[]
  /** {} in 3.1.1. */
  properties: Properties
}>

/** @throws Malformed 0x81, 0x82 */
export function readSubscribe(buffer: Buffer, start: number, end: number, level: Level): Subscribe {
  const reader = new Reader(buffer, start, end)
  const packetId = readPacketId(reader)
  const properties = level === 5 ? readProperties(reader, packetType.SUBSCRIBE) : {}
  const subscriptions: Subscription[] = []
  while (reader.left > 0) subscriptions.push(readSubscription(reader, level))
  if (subscriptions.length === 0) throw protocolError('A SUBSCRIBE without a filter') // [MQTT-3.8.3-2], 3.1.1 [MQTT-3.8.3-3]
  return { packetId, subscriptionIdentifier: properties.subscriptionIdentifier ?? 0, subscriptions, properties }
}

/** @throws Malformed 0x82 for 0 */
export function readPacketId(reader: Reader): number {
  const packetId = reader.u16()
  if (packetId === 0) throw protocolError('Packet identifier 0 is not allowed') // [MQTT-2.2.1-3], 3.1.1 [MQTT-2.3.1-1]
  return packetId
}

function readSubscription(reader: Reader, level: Level): Subscription {
  const filter = reader.string() // [MQTT-3.8.3-1]
  const options = reader.u8()
  const reserved = level === 5 ? 0xc0 : 0xfc
  if (options & reserved) throw malformed('Reserved bits of a subscription are set') // [MQTT-3.8.3-5], 3.1.1 [MQTT-3.8.3-4]
  const qos = options & 0x03
  const retainHandling = (options >> 4) & 0x03
  if (qos === 3) throw level === 5 ? protocolError('QoS 3 is asked for') : malformed('QoS 3 is asked for') // §3.8.3.1
  if (retainHandling === 3) throw protocolError('Retain handling is 3') // §3.8.3.1
  const noLocal = (options & 0x04) !== 0
  if (noLocal && isShared(filter)) throw protocolError('No Local on a shared subscription') // [MQTT-3.8.3-4]
  return {
    filter,
    valid: isTopicFilter(filter),
    qos: qos as 0 | 1 | 2,
    noLocal,
    retainAsPublished: (options & 0x08) !== 0,
    retainHandling: retainHandling as 0 | 1 | 2,
  }
}

/** One reason code per filter, in their order [MQTT-3.9.3-1]; 3.1.1 knows one failure, 0x80. */
export function writeSuback(
  level: Level,
  packetId: number,
  reasonCodes: readonly number[],
  properties?: Properties,
): Buffer {
  const writer = new Writer().u16(packetId)
  if (level === 5) writeProperties(writer, properties)
  for (const code of reasonCodes) writer.u8(level === 4 && code > 0x80 ? 0x80 : code)
  return writer.toPacket(packetType.SUBACK << 4)
}
