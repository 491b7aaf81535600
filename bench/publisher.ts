// Hot path of the generator: a publisher's packets lie ready in a ring; sending patches number and time and writes once.
import type { MqttClient } from './mqtt-client.ts'
import { publishTemplate, type Qos } from './mqtt-packets.ts'

export const payloadBytes = 64

/** Microseconds on the generator's clock, modulo 2^32. */
export function nowUs(): number {
  return (performance.now() * 1000) >>> 0
}

// The payload begins with: publisher, sequence number, time of sending; 4 bytes each.
export function publisherAt(bytes: Buffer, payloadAt: number): number {
  return uint32At(bytes, payloadAt)
}
export function sequenceAt(bytes: Buffer, payloadAt: number): number {
  return uint32At(bytes, payloadAt + 4)
}
export function ageUsAt(bytes: Buffer, payloadAt: number): number {
  return (nowUs() - uint32At(bytes, payloadAt + 8)) >>> 0
}

export type PublisherOptions = Readonly<{
  id: number
  topic: string
  qos: Qos
  window: number
  /** Of the payload; the first twelve are the publisher's own. */
  bytes?: number
  retain?: boolean
  properties?: Buffer | null
  /** The topic's last five characters become the sequence number. */
  numbered?: boolean
}>

/**
 * Numbers its messages from 0. At most `window` of them are outstanding, that is sent and not yet `done`: a ring's slot
 * is written again only when its last message has been through the broker, so its bytes have left the socket.
 */
export class Publisher {
  readonly #client: MqttClient
  readonly #window: number
  readonly #ring: Buffer
  readonly #size: number
  readonly #packetIdAt: number
  readonly #payloadAt: number
  readonly #hasPacketId: boolean
  /** 0: the topic stays as it is. */
  readonly #numberEndAt: number
  /** How many may be sent in all. */
  limit = Number.POSITIVE_INFINITY
  sent = 0
  done = 0
  /** PUBACKs and PUBCOMPs that came in another order than the publishes [MQTT-4.6.0-2], or for none of them. */
  wrongAcks = 0

  constructor(client: MqttClient, { id, window, bytes = payloadBytes, ...options }: PublisherOptions) {
    const template = publishTemplate({ ...options, payloadBytes: bytes })
    this.#client = client
    this.#window = window
    this.#size = template.bytes.length
    this.#packetIdAt = template.packetIdAt
    this.#payloadAt = template.payloadAt
    this.#hasPacketId = options.qos > 0
    this.#numberEndAt = options.numbered === true ? template.topicEndAt : 0
    this.#ring = Buffer.concat(Array.from({ length: window }, () => template.bytes))
    for (let slot = 0; slot < window; slot++) this.#ring.writeUInt32BE(id, slot * this.#size + this.#payloadAt)
  }

  /** Sends as many as window and limit allow, at most `most`. */
  fill(most = this.#window): number {
    const count = Math.min(most, this.#window - (this.sent - this.done), this.limit - this.sent)
    if (count <= 0) return 0
    const time = nowUs()
    const first = this.sent % this.#window
    const untilWrap = Math.min(count, this.#window - first)
    this.#write(first, untilWrap, time)
    if (count > untilWrap) this.#write(0, count - untilWrap, time)
    return count
  }

  /** A PUBACK or PUBCOMP has come. */
  acknowledge(packetId: number): void {
    if (packetId === (this.done % 65_535) + 1 && this.done < this.sent) this.done++
    else this.wrongAcks++
  }

  #write(slot: number, count: number, time: number): void {
    const ring = this.#ring
    for (let i = 0, at = slot * this.#size; i < count; i++, at += this.#size) {
      const sequence = this.sent++
      if (this.#hasPacketId) {
        const packetId = (sequence % 65_535) + 1
        ring[at + this.#packetIdAt] = packetId >> 8
        ring[at + this.#packetIdAt + 1] = packetId & 0xff
      }
      if (this.#numberEndAt !== 0) setDigits(ring, at + this.#numberEndAt, sequence)
      setUint32(ring, at + this.#payloadAt + 4, sequence)
      setUint32(ring, at + this.#payloadAt + 8, time)
    }
    this.#client.write(ring.subarray(slot * this.#size, (slot + count) * this.#size))
  }
}

/** Five decimal digits that end before `end`. */
function setDigits(bytes: Buffer, end: number, value: number): void {
  for (let at = end - 1, rest = value; at >= end - 5; at--, rest = Math.floor(rest / 10)) bytes[at] = 0x30 + (rest % 10)
}

function setUint32(bytes: Buffer, at: number, value: number): void {
  bytes[at] = value >>> 24
  bytes[at + 1] = value >>> 16
  bytes[at + 2] = value >>> 8
  bytes[at + 3] = value
}

function uint32At(bytes: Buffer, at: number): number {
  const high = ((bytes[at] as number) << 24) | ((bytes[at + 1] as number) << 16)
  return (high | ((bytes[at + 2] as number) << 8) | (bytes[at + 3] as number)) >>> 0
}
