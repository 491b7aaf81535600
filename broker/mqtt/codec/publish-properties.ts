// Hot path (bench: mqtt5): the properties of a PUBLISH, checked in place and left as they came. MQTT 5 §3.3.2.3
import { Malformed, malformed, protocolError, reason } from './malformed.ts'
import { byteAt, checkUtf8 } from './primitives.ts'

export type PublishProperties = {
  /** 0: none. */
  topicAlias: number
  /** Where the alias stands, with its identifier: three bytes; -1 without. */
  aliasAt: number
  /** Where the four bytes of the Message Expiry Interval stand; -1 without. */
  expiryAt: number
}

const found: PublishProperties = { topicAlias: 0, aliasAt: -1, expiryAt: -1 }

const PAYLOAD_FORMAT = 0x01
const MESSAGE_EXPIRY = 0x02
const CONTENT_TYPE = 0x03
const RESPONSE_TOPIC = 0x08
const CORRELATION_DATA = 0x09
const SUBSCRIPTION_IDENTIFIER = 0x0b
const TOPIC_ALIAS = 0x23
const USER_PROPERTY = 0x26

/**
 * Checks the properties of a client's PUBLISH from `start`, behind their length, to `end`. The result is one object that
 * the next call overwrites; its places are offsets in `buffer`. @throws Malformed 0x81, 0x82, 0x94 as `readProperties`
 */
export function scanPublishProperties(buffer: Buffer, start: number, end: number): PublishProperties {
  found.topicAlias = 0
  found.aliasAt = -1
  found.expiryAt = -1
  let seen = 0
  let at = start
  while (at < end) {
    const id = byteAt(buffer, at)
    if (id !== USER_PROPERTY) {
      // Tells apart all identifiers that a PUBLISH may carry once.
      const bit = 1 << (id % 31)
      if ((seen & bit) !== 0) throw protocolError('A property is given twice')
      seen |= bit
    }
    at = skip(buffer, at + 1, end, id)
  }
  return found
}

/** Answers where the next property begins. */
function skip(buffer: Buffer, at: number, end: number, id: number): number {
  switch (id) {
    case USER_PROPERTY:
      return skipString(buffer, skipString(buffer, at, end), end) // [MQTT-1.5.7-1]
    case CONTENT_TYPE:
      return skipString(buffer, at, end)
    case RESPONSE_TOPIC:
      return skipTopic(buffer, at, end)
    case CORRELATION_DATA:
      return skipBytes(buffer, at, end)
    case PAYLOAD_FORMAT:
      inside(at + 1, end)
      if (byteAt(buffer, at) > 1) throw protocolError('The payload format is not known')
      return at + 1
    case MESSAGE_EXPIRY:
      inside(at + 4, end)
      found.expiryAt = at
      return at + 4
    case TOPIC_ALIAS:
      return takeAlias(buffer, at, end)
    case SUBSCRIPTION_IDENTIFIER:
      throw protocolError('A client names a subscription identifier') // [MQTT-3.3.4-6]
    default:
      throw malformed(`Property ${id} does not belong into this packet`) // §2.2.2.2
  }
}

function takeAlias(buffer: Buffer, at: number, end: number): number {
  inside(at + 2, end)
  found.topicAlias = (byteAt(buffer, at) << 8) | byteAt(buffer, at + 1)
  found.aliasAt = at - 1
  if (found.topicAlias === 0) throw new Malformed(reason.topicAliasInvalid, 'Topic alias 0 is not allowed') // [MQTT-3.3.2-8]
  return at + 2
}

function skipBytes(buffer: Buffer, at: number, end: number): number {
  inside(at + 2, end)
  const next = at + 2 + ((byteAt(buffer, at) << 8) | byteAt(buffer, at + 1))
  inside(next, end)
  return next
}

function skipString(buffer: Buffer, at: number, end: number): number {
  const next = skipBytes(buffer, at, end)
  checkUtf8(buffer, at + 2, next)
  return next
}

/** [MQTT-3.3.2-14], [MQTT-4.7.3-1] */
function skipTopic(buffer: Buffer, at: number, end: number): number {
  const next = skipString(buffer, at, end)
  let isTopic = next > at + 2
  for (let i = at + 2; i < next; i++) if (byteAt(buffer, i) === 0x2b || byteAt(buffer, i) === 0x23) isTopic = false
  if (!isTopic) throw protocolError('The response topic is not a topic name')
  return next
}

function inside(next: number, end: number): void {
  if (next > end) throw malformed('A field is longer than its packet')
}
