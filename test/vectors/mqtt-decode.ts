// Decodes any packet of a client, as a connection does, into one plain value that tests can compare.
import { readAck } from '../../broker/mqtt/codec/ack.ts'
import { readAuth } from '../../broker/mqtt/codec/auth.ts'
import { readConnect } from '../../broker/mqtt/codec/connect.ts'
import { readDisconnect } from '../../broker/mqtt/codec/disconnect.ts'
import { frame, INCOMPLETE, readFrame } from '../../broker/mqtt/codec/frame.ts'
import { protocolError } from '../../broker/mqtt/codec/malformed.ts'
import { type Level, packetType } from '../../broker/mqtt/codec/packet-type.ts'
import { readPingreq } from '../../broker/mqtt/codec/ping.ts'
import { checkTopicName, readPublish, readPublishProperties } from '../../broker/mqtt/codec/publish.ts'
import { readSubscribe } from '../../broker/mqtt/codec/subscribe.ts'
import { readUnsubscribe } from '../../broker/mqtt/codec/unsubscribe.ts'

export const MAX_PACKET_BYTES = 300_000

export type Vector = Readonly<{ name: string; level?: Level; packet: string }>
/** What differs from the defaults of `mqtt-codec.test.ts`. */
export type Valid = Vector & Readonly<{ is: object }>
export type Invalid = Vector & Readonly<{ reason: number }>

/** Null: more bytes are needed. `next` is where the following packet starts. */
export function decodePacket(
  level: Level,
  buffer: Buffer,
  offset: number,
  end: number,
): { next: number; packet: object } | null {
  const next = readFrame(buffer, offset, end, MAX_PACKET_BYTES)
  return next === INCOMPLETE ? null : { next, packet: decodeBody(level, buffer) }
}

function decodeBody(level: Level, buffer: Buffer): object {
  const { type, bodyStart, bodyEnd } = frame
  switch (type) {
    case packetType.CONNECT:
      return readConnect(buffer, bodyStart, bodyEnd)
    case packetType.PUBLISH:
      return decodePublish(level, buffer)
    case packetType.PUBACK:
    case packetType.PUBREC:
    case packetType.PUBREL:
    case packetType.PUBCOMP:
      return { ...readAck(buffer, bodyStart, bodyEnd, type, level) }
    case packetType.SUBSCRIBE:
      return readSubscribe(buffer, bodyStart, bodyEnd, level)
    case packetType.UNSUBSCRIBE:
      return readUnsubscribe(buffer, bodyStart, bodyEnd, level)
    case packetType.AUTH:
      return readAuth(buffer, bodyStart, bodyEnd, level)
    case packetType.PINGREQ:
      readPingreq(bodyStart, bodyEnd)
      return { pingreq: true }
    case packetType.DISCONNECT:
      return readDisconnect(buffer, bodyStart, bodyEnd, level)
    default:
      throw protocolError('Not a packet of a client')
  }
}

function decodePublish(level: Level, buffer: Buffer): object {
  const { dup, qos, retain, packetId, ...at } = readPublish(buffer, frame, level)
  const properties = readPublishProperties(buffer, at.propertiesStart, at.propertiesEnd)
  if (properties.topicAlias === undefined || at.topicStart !== at.topicEnd) {
    checkTopicName(buffer, at.topicStart, at.topicEnd)
  }
  const topic = buffer.toString('utf8', at.topicStart, at.topicEnd)
  const payload = buffer.toString('latin1', at.payloadStart, at.payloadEnd)
  return { dup, qos, retain, packetId, topic, properties, payload }
}
