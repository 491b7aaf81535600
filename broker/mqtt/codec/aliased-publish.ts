// Hot path (bench: mqtt5): an encoded PUBLISH, which others share, written with a topic alias. MQTT 5 §3.3.2.3.4
import { byteAt } from './primitives.ts'
import { varintLength, writeU16, writeVarint } from './writer.ts'

/** A whole PUBLISH of MQTT 5 from `start` to `end`; `packetIdAt` counts from `start`, -1 for none. */
export type SharedPublish = Readonly<{ bytes: Buffer; start: number; end: number; packetIdAt: number }>

/** The most that an alias adds: the property, and a byte for each of the two lengths that may grow. */
export const ALIAS_BYTES = 5

const TOPIC_ALIAS = 0x23

const field = { value: 0, end: 0 }

function readVarint(bytes: Buffer, start: number): void {
  let value = 0
  let at = start
  for (let shift = 0; ; shift += 7) {
    const byte = byteAt(bytes, at++)
    value |= (byte & 0x7f) << shift
    if (byte < 0x80) break
  }
  field.value = value
  field.end = at
}

/**
 * Writes it at `at` with `alias`, and with its topic when the client is told what the alias stands for.
 * Returns the offset behind it: at most ALIAS_BYTES more than the packet has.
 */
export function writeAliased(
  target: Buffer,
  at: number,
  { bytes, start, end, packetIdAt }: SharedPublish,
  { packetId, alias, withTopic }: Readonly<{ packetId: number; alias: number; withTopic: boolean }>,
): number {
  readVarint(bytes, start + 1)
  const topicAt = field.end
  const topicEnd = topicAt + 2 + ((byteAt(bytes, topicAt) << 8) | byteAt(bytes, topicAt + 1))
  readVarint(bytes, packetIdAt < 0 ? topicEnd : topicEnd + 2)
  const { value: propertiesLength, end: rest } = field
  const length = propertiesLength + 3
  const body = (withTopic ? topicEnd - topicAt : 2) + (packetIdAt < 0 ? 0 : 2) + varintLength(length) + 3 + (end - rest)
  target[at] = byteAt(bytes, start)
  let to = writeVarint(target, at + 1, body)
  if (withTopic) to += bytes.copy(target, to, topicAt, topicEnd)
  else to = writeU16(target, to, 0)
  if (packetIdAt >= 0) to = writeU16(target, to, packetId)
  to = writeVarint(target, to, length)
  target[to] = TOPIC_ALIAS
  to = writeU16(target, to + 1, alias)
  return to + bytes.copy(target, to, rest, end)
}
