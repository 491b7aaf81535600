// MQTT 3.1.1 packets as bytes, built once before a run. http://docs.oasis-open.org/mqtt/mqtt/v3.1.1/
import type { Login } from './brokers/broker.ts'

export type Qos = 0 | 1

export const type = { connack: 2, publish: 3, puback: 4, suback: 9 } as const

export function connectPacket(login: Login, clientId: string, clean: boolean): Buffer {
  const flags = 0xc0 | (clean ? 2 : 0)
  const keepAliveS = 600
  const head = Buffer.from([0, 4, 0x4d, 0x51, 0x54, 0x54, 4, flags, keepAliveS >> 8, keepAliveS & 0xff])
  return packet(0x10, Buffer.concat([head, text(clientId), text(login.username), text(login.password)]))
}

export function subscribePacket(packetId: number, topic: string, qos: Qos): Buffer {
  return packet(0x82, Buffer.concat([uint16(packetId), text(topic), Buffer.from([qos])]))
}

export const disconnectPacket = Buffer.from([0xe0, 0])

export type PublishTemplate = Readonly<{ bytes: Buffer; packetIdAt: number; payloadAt: number }>

export function publishTemplate(topic: string, qos: Qos, payloadBytes: number): PublishTemplate {
  const id = qos === 0 ? Buffer.alloc(0) : uint16(1)
  const bytes = packet(0x30 | (qos << 1), Buffer.concat([text(topic), id, Buffer.alloc(payloadBytes, 'x')]))
  const payloadAt = bytes.length - payloadBytes
  return { bytes, payloadAt, packetIdAt: payloadAt - id.length }
}

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
