// Hot path: readPublish does not allocate (bench/: p2p QoS 0 and 1). MQTT 5 §3.3, 3.1.1 §3.3: PUBLISH
import type { Frame } from './frame.ts'
import { Malformed, malformed, protocolError, reason } from './malformed.ts'
import { type Level, packetType } from './packet-type.ts'
import { byteAt, checkUtf8, Reader } from './primitives.ts'
import { encodeProperties, type Properties, readPropertyList } from './properties.ts'
import { varintLength, Writer, writeU16, writeVarint } from './writer.ts'

/** Where the parts of a PUBLISH lie in its buffer. */
export type Publish = {
  dup: boolean
  qos: 0 | 1 | 2
  retain: boolean
  topicStart: number
  topicEnd: number
  /** 0 for QoS 0. */
  packetId: number
  /** Without the property length; empty in 3.1.1. */
  propertiesStart: number
  propertiesEnd: number
  payloadStart: number
  payloadEnd: number
}

const publish: Publish = {
  dup: false,
  qos: 0,
  retain: false,
  topicStart: 0,
  topicEnd: 0,
  packetId: 0,
  propertiesStart: 0,
  propertiesEnd: 0,
  payloadStart: 0,
  payloadEnd: 0,
}

const PLUS = 0x2b
const HASH = 0x23

/**
 * Finds the parts of a PUBLISH. The result is one object that the next call overwrites. The topic is left to
 * `checkTopicName` (it may be empty when an alias stands for it), the properties to `readPublishProperties`.
 * @throws Malformed 0x81; 0x82 packet identifier 0
 */
export function readPublish(buffer: Buffer, frame: Frame, level: Level): Publish {
  const { flags, bodyEnd } = frame
  const qos = (flags >> 1) & 3
  if (qos === 3) throw malformed('QoS 3') // [MQTT-3.3.1-4]
  publish.qos = qos as 0 | 1 | 2
  publish.dup = (flags & 8) !== 0
  publish.retain = (flags & 1) !== 0
  if (publish.dup && qos === 0) throw malformed('DUP with QoS 0') // [MQTT-3.3.1-2]

  let at = frame.bodyStart + 2
  if (at > bodyEnd) throw malformed('A PUBLISH without a topic')
  publish.topicStart = at
  at += (byteAt(buffer, at - 2) << 8) | byteAt(buffer, at - 1)
  publish.topicEnd = at
  publish.packetId = 0
  if (qos > 0) {
    at += 2
    if (at > bodyEnd) throw malformed('A PUBLISH ends before its packet identifier')
    publish.packetId = (byteAt(buffer, at - 2) << 8) | byteAt(buffer, at - 1)
    if (publish.packetId === 0) throw protocolError('Packet identifier 0') // [MQTT-2.2.1-3]
  }
  if (at > bodyEnd) throw malformed('A PUBLISH ends within its topic')
  publish.propertiesStart = at
  publish.propertiesEnd = at
  if (level === 5) findProperties(buffer, at, bodyEnd)
  publish.payloadStart = publish.propertiesEnd
  publish.payloadEnd = bodyEnd
  return publish
}

function findProperties(buffer: Buffer, start: number, end: number): void {
  let at = start
  let length = 0
  for (let shift = 0; ; shift += 7) {
    if (shift > 21 || at >= end) throw malformed('A property length does not end')
    const byte = byteAt(buffer, at++)
    length |= (byte & 0x7f) << shift
    if (byte >= 0x80) continue
    if (byte === 0 && shift > 0) throw malformed('A property length uses more bytes than it needs') // [MQTT-1.5.5-1]
    break
  }
  if (length > end - at) throw malformed('Properties are longer than their packet')
  publish.propertiesStart = at
  publish.propertiesEnd = at + length
}

/**
 * Checks the topic of a PUBLISH that has no topic alias to stand for it, in place.
 * @throws Malformed 0x81 not well-formed UTF-8 or with U+0000; 0x82 empty; 0x90 with a wildcard
 */
export function checkTopicName(buffer: Buffer, start: number, end: number): void {
  if (start === end) throw protocolError('Neither a topic nor an alias') // §3.3.2.1, [MQTT-4.7.3-1]
  checkUtf8(buffer, start, end) // [MQTT-3.3.2-1], [MQTT-4.7.3-2]
  for (let at = start; at < end; at++) {
    const byte = byteAt(buffer, at)
    if (byte !== PLUS && byte !== HASH) continue
    throw new Malformed(reason.topicNameInvalid, 'The topic contains a wildcard') // [MQTT-3.3.2-2], [MQTT-4.7.0-1]
  }
}

/** The properties of a client's PUBLISH, `start` behind their length. @throws Malformed 0x81, 0x82, 0x94 */
export function readPublishProperties(buffer: Buffer, start: number, end: number): Properties {
  const properties = readPropertyList(new Reader(buffer, start, end), packetType.PUBLISH)
  if (properties.subscriptionIdentifiers !== undefined) {
    throw protocolError('A client names a subscription identifier') // [MQTT-3.3.4-6]
  }
  return properties
}

export type Forwarded = Readonly<{
  /** What travels on unaltered, without the length in front; empty for none. */
  encoded: Buffer
  /** Seconds; null: never. */
  messageExpiryInterval: number | null
}>

/** Parts what subscribers get from what changes with time. */
export function splitForwarded(properties: Omit<Properties, 'topicAlias'>): Forwarded {
  const { messageExpiryInterval = null, ...rest } = properties
  return { encoded: encodeProperties(rest), messageExpiryInterval } // [MQTT-3.3.2-4] -15 -16 -17 -18 -20
}

/** What one receiver's copy adds to the properties that travel. Returns `encoded` itself when that is nothing. */
export function forwardedProperties(
  encoded: Buffer,
  added: Readonly<{ subscriptionIds: readonly number[]; messageExpiryInterval: number | null }>,
): Buffer {
  const { subscriptionIds, messageExpiryInterval } = added
  if (subscriptionIds.length === 0 && messageExpiryInterval === null) return encoded
  const writer = new Writer()
  if (messageExpiryInterval !== null) writer.u8(0x02).u32(messageExpiryInterval) // [MQTT-3.3.2-6]
  for (const id of subscriptionIds) writer.u8(0x0b).varint(id) // [MQTT-3.3.4-4]
  return writer.bytes(encoded).toBuffer()
}

export type Publishing = Readonly<{
  topic: Buffer | string
  payload: Buffer
  qos: 0 | 1 | 2
  retain: boolean
  dup: boolean
  /** Encoded, without the length in front; empty for none. Left out in 3.1.1. */
  properties: Buffer
}>

/** `packetIdAt`: offset of the two bytes that each receiver's copy fills in (0 as made); -1 for QoS 0. */
export type EncodedPublish = Readonly<{ packet: Buffer; packetIdAt: number }>

export function encodePublish(level: Level, publishing: Publishing): EncodedPublish {
  const { topic, payload, qos, properties } = publishing
  const name = typeof topic === 'string' ? Buffer.from(topic) : topic
  if (name.length > 0xffff) throw new RangeError('A topic has more than 65,535 bytes')
  const propertiesLength = level === 5 ? varintLength(properties.length) + properties.length : 0
  const length = 2 + name.length + (qos > 0 ? 2 : 0) + propertiesLength + payload.length
  const packet = Buffer.allocUnsafe(1 + varintLength(length) + length)
  packet[0] = (packetType.PUBLISH << 4) | (publishing.dup ? 8 : 0) | (qos << 1) | (publishing.retain ? 1 : 0)
  let at = writeU16(packet, writeVarint(packet, 1, length), name.length)
  packet.set(name, at)
  at += name.length
  const packetIdAt = qos > 0 ? at : -1
  if (qos > 0) at = writeU16(packet, at, 0)
  if (level === 5) {
    at = writeVarint(packet, at, properties.length)
    packet.set(properties, at)
    at += properties.length
  }
  packet.set(payload, at)
  return { packet, packetIdAt }
}
