// Packets of MQTT 3.1.1 and 5 as bytes, built once before a run. https://docs.oasis-open.org/mqtt/mqtt/v5.0/
import type { Login } from './brokers/broker.ts'

export type Qos = 0 | 1 | 2
/** The protocol level of CONNECT: MQTT 3.1.1 or 5. */
export type Level = 4 | 5

export const type = {
  connack: 2,
  publish: 3,
  puback: 4,
  pubrec: 5,
  pubrel: 6,
  pubcomp: 7,
  suback: 9,
  unsuback: 11,
} as const

/** First bytes of what answers PUBLISH (QoS 1, QoS 2), PUBREC and PUBREL. */
export const answer = { puback: 0x40, pubrec: 0x50, pubrel: 0x62, pubcomp: 0x70 } as const

export type ConnectOptions = Readonly<{ clientId: string; clean: boolean; level: Level }>

export function connectPacket(login: Login, { clientId, clean, level }: ConnectOptions): Buffer {
  const flags = 0xc0 | (clean ? 2 : 0)
  const keepAliveS = 600
  const head = Buffer.from([0, 4, 0x4d, 0x51, 0x54, 0x54, level, flags, keepAliveS >> 8, keepAliveS & 0xff])
  const rest = [text(clientId), text(login.username), text(login.password)]
  return packet(0x10, Buffer.concat([head, noProperties(level), ...rest]))
}

export function subscribePacket(packetId: number, topics: readonly string[], qos: Qos, level: Level): Buffer {
  const filters = topics.flatMap((topic) => [text(topic), Buffer.from([qos])])
  return packet(0x82, Buffer.concat([uint16(packetId), noProperties(level), ...filters]))
}

export function unsubscribePacket(packetId: number, topic: string): Buffer {
  return packet(0xa2, Buffer.concat([uint16(packetId), text(topic)]))
}

function noProperties(level: Level): Buffer {
  return Buffer.alloc(level === 5 ? 1 : 0)
}

export const disconnectPacket = Buffer.from([0xe0, 0])

export type PublishTemplate = Readonly<{ bytes: Buffer; topicEndAt: number; packetIdAt: number; payloadAt: number }>

/** `properties` are those of MQTT 5 without their length; null: 3.1.1. */
export type PublishOptions = Readonly<{
  topic: string
  qos: Qos
  payloadBytes: number
  retain?: boolean
  properties?: Buffer | null
}>

export function publishTemplate(options: PublishOptions): PublishTemplate {
  const { topic, qos, payloadBytes, retain = false, properties = null } = options
  const id = qos === 0 ? Buffer.alloc(0) : uint16(1)
  const extra = properties === null ? Buffer.alloc(0) : Buffer.concat([Buffer.of(properties.length), properties])
  const body = Buffer.concat([text(topic), id, extra, Buffer.alloc(payloadBytes, 'x')])
  const bytes = packet(0x30 | (qos << 1) | (retain ? 1 : 0), body)
  const payloadAt = bytes.length - payloadBytes
  const packetIdAt = payloadAt - extra.length - id.length
  return { bytes, payloadAt, packetIdAt, topicEndAt: packetIdAt }
}

/** What a client of MQTT 5 might send along: content type, message expiry and two user properties; less than 128 bytes. */
export const someProperties = Buffer.concat([
  Buffer.of(0x01, 1),
  Buffer.of(0x02, 0, 0, 0x0e, 0x10),
  Buffer.of(0x03),
  text('application/json'),
  Buffer.of(0x26),
  text('source'),
  text('bench'),
  Buffer.of(0x26),
  text('unit'),
  text('kelvin'),
])

function packet(first: number, body: Buffer): Buffer {
  const head = [first]
  let rest = body.length
  do {
    head.push((rest & 0x7f) | (rest > 0x7f ? 0x80 : 0))
    rest >>>= 7
  } while (rest > 0)
  return Buffer.concat([Buffer.from(head), body])
}

function text(value: string): Buffer {
  const bytes = Buffer.from(value)
  return Buffer.concat([uint16(bytes.length), bytes])
}

function uint16(value: number): Buffer {
  return Buffer.from([value >> 8, value & 0xff])
}
