// The packets that an MQTT client sends, as bytes.
import { encodeAck } from '../../broker/mqtt/codec/ack.ts'
import { type Level, packetType } from '../../broker/mqtt/codec/packet-type.ts'
import { encodeProperties, type Properties, writeProperties } from '../../broker/mqtt/codec/properties.ts'
import { encodePublish } from '../../broker/mqtt/codec/publish.ts'
import { Writer } from '../../broker/mqtt/codec/writer.ts'

export type WillFields = Readonly<{
  topic: string
  payload: string
  qos?: 0 | 1 | 2
  retain?: boolean
  properties?: Properties
}>

export type ConnectFields = Readonly<{
  level?: Level
  clientId?: string
  clean?: boolean
  /** Seconds. */
  keepAlive?: number
  username?: string
  password?: string
  will?: WillFields
  properties?: Properties
}>

export function connectPacket(fields: ConnectFields): Buffer {
  const { level = 5, clean = true, will, username, password } = fields
  const willFlags = will ? 4 | ((will.qos ?? 0) << 3) | (will.retain ? 32 : 0) : 0
  const flags = (clean ? 2 : 0) | willFlags | (username === undefined ? 0 : 128) | (password === undefined ? 0 : 64)
  const writer = new Writer()
    .string('MQTT')
    .u8(level)
    .u8(flags)
    .u16(fields.keepAlive ?? 0)
  if (level === 5) writeProperties(writer, fields.properties)
  writer.string(fields.clientId ?? '')
  if (will) {
    if (level === 5) writeProperties(writer, will.properties)
    writer.string(will.topic).binary(Buffer.from(will.payload))
  }
  if (username !== undefined) writer.string(username)
  if (password !== undefined) writer.string(password)
  return writer.toPacket(packetType.CONNECT << 4)
}

export type PublishFields = Readonly<{
  topic: string
  payload?: string | Buffer
  qos?: 0 | 1 | 2
  packetId?: number
  retain?: boolean
  dup?: boolean
  properties?: Properties
}>

export function publishPacket(level: Level, fields: PublishFields): Buffer {
  const { topic, payload = '', qos = 0, packetId = 1, retain = false, dup = false, properties = {} } = fields
  const { packet, packetIdAt } = encodePublish(level, {
    topic,
    payload: Buffer.from(payload),
    qos,
    retain,
    dup,
    properties: encodeProperties(properties),
  })
  if (packetIdAt >= 0) packet.writeUInt16BE(packetId, packetIdAt)
  return packet
}

export type FilterFields = Readonly<{
  filter: string
  qos?: 0 | 1 | 2
  noLocal?: boolean
  retainAsPublished?: boolean
  retainHandling?: 0 | 1 | 2
}>

export function subscribePacket(
  level: Level,
  packetId: number,
  filters: readonly FilterFields[],
  properties?: Properties,
): Buffer {
  const writer = new Writer().u16(packetId)
  if (level === 5) writeProperties(writer, properties)
  for (const { filter, qos = 1, noLocal, retainAsPublished, retainHandling = 0 } of filters)
    writer.string(filter).u8(qos | (noLocal ? 4 : 0) | (retainAsPublished ? 8 : 0) | (retainHandling << 4))
  return writer.toPacket((packetType.SUBSCRIBE << 4) | 2)
}

export function unsubscribePacket(level: Level, packetId: number, filters: readonly string[]): Buffer {
  const writer = new Writer().u16(packetId)
  if (level === 5) writeProperties(writer, undefined)
  for (const filter of filters) writer.string(filter)
  return writer.toPacket((packetType.UNSUBSCRIBE << 4) | 2)
}

export function pubackPacket(packetId: number): Buffer {
  return encodeAck(4, packetType.PUBACK, packetId, 0)
}

/** `reason`: MQTT 5 only. */
export function pubrecPacket(packetId: number, reason = 0): Buffer {
  return encodeAck(5, packetType.PUBREC, packetId, reason)
}

export function pubrelPacket(packetId: number): Buffer {
  return encodeAck(4, packetType.PUBREL, packetId, 0)
}

export function pubcompPacket(packetId: number): Buffer {
  return encodeAck(4, packetType.PUBCOMP, packetId, 0)
}

export function disconnectPacket(reasonCode: number, properties?: Properties): Buffer {
  return writeProperties(new Writer().u8(reasonCode), properties).toPacket(packetType.DISCONNECT << 4)
}

export const pingPacket = Buffer.from([packetType.PINGREQ << 4, 0])
/** DISCONNECT without reason: both versions. */
export const byePacket = Buffer.from([packetType.DISCONNECT << 4, 0])
