// Hot path of the generator: packets are read in place, nothing is allocated per message, answers leave once per chunk.
import { connect, type Socket } from 'node:net'
import {
  answer as answers,
  disconnectPacket,
  type Level,
  type Qos,
  subscribePacket,
  type,
  unsubscribePacket,
} from './mqtt-packets.ts'

/** Shared by all clients of a run: a chunk is read, parsed and answered before the next one arrives. */
export type Scratch = Readonly<{ chunk: Buffer; packetIds: Uint16Array; answers: Uint8Array }>

export function createScratch(): Scratch {
  const chunkBytes = 256 * 1024
  const packetIds = new Uint16Array(chunkBytes)
  return { chunk: Buffer.allocUnsafe(chunkBytes), packetIds, answers: new Uint8Array(chunkBytes) }
}

/** What a scenario does with what arrives. The bytes are valid during the call only. */
export type Receiver = {
  onPublish(bytes: Buffer, payloadAt: number): void
  /** PUBACK, or PUBCOMP at QoS 2. */
  onPuback(packetId: number): void
  /** All of a chunk was handled: the moment to send more. */
  onChunkEnd(): void
  onClosed(reason: string): void
}

type Answer = Readonly<{ type: number; resolve: () => void; reject: (error: Error) => void }>

/** One connection, MQTT 3.1.1 or 5. It answers what arrives; it checks nothing else. */
export class MqttClient {
  readonly #receiver: Receiver
  readonly #scratch: Scratch
  readonly #socket: Socket
  readonly #level: Level
  #cut: Buffer | null = null
  #toAcknowledge = 0
  #answer: Answer | null = null
  #isClosing = false

  constructor(port: number, scratch: Scratch, receiver: Receiver, level: Level) {
    this.#receiver = receiver
    this.#level = level
    this.#scratch = scratch
    const onread = { buffer: scratch.chunk, callback: (length: number): boolean => this.#onChunk(length) }
    this.#socket = connect({ port, host: '127.0.0.1', noDelay: true, onread })
    this.#socket.on('error', (error) => this.#onClosed(error.message))
    this.#socket.on('close', () => this.#onClosed('closed by the broker'))
  }

  async handshake(connectPacket: Buffer): Promise<void> {
    await this.#request(connectPacket, type.connack)
  }

  /** All with one packet; only the last one's reason code is looked at. */
  async subscribe(topics: string | readonly string[], qos: Qos): Promise<void> {
    const list = typeof topics === 'string' ? [topics] : topics
    await this.#request(subscribePacket(1, list, qos, this.#level), type.suback)
  }

  /** MQTT 3.1.1 only. */
  async unsubscribe(topic: string): Promise<void> {
    await this.#request(unsubscribePacket(1, topic), type.unsuback)
  }

  write(bytes: Buffer): void {
    this.#socket.write(bytes)
  }

  /** Stops reading; what the broker sends piles up there. */
  freeze(): void {
    this.#socket.pause()
  }

  thaw(): void {
    this.#socket.resume()
  }

  async disconnect(): Promise<void> {
    if (this.#isClosing || this.#socket.destroyed) return
    this.#isClosing = true
    const closed = new Promise((resolve) => this.#socket.once('close', resolve))
    this.#socket.end(disconnectPacket)
    this.#socket.resume()
    await closed
  }

  #request(bytes: Buffer, answer: number): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#answer = { type: answer, resolve, reject }
      this.#socket.write(bytes)
    })
  }

  #onClosed(reason: string): void {
    this.#answer?.reject(new Error(reason))
    this.#answer = null
    if (this.#isClosing) return
    this.#isClosing = true
    this.#receiver.onClosed(reason)
  }

  #onChunk(length: number): boolean {
    let bytes = this.#scratch.chunk
    let end = length
    if (this.#cut !== null) {
      bytes = Buffer.concat([this.#cut, bytes.subarray(0, length)])
      end = bytes.length
      this.#cut = null
    }
    const parsed = this.#parse(bytes, end)
    if (parsed < end) this.#cut = Buffer.from(bytes.subarray(parsed, end))
    if (this.#toAcknowledge > 0) this.#acknowledge()
    this.#receiver.onChunkEnd()
    return true
  }

  /** Handles every whole packet and returns where the first cut one begins. */
  #parse(bytes: Buffer, end: number): number {
    let at = 0
    while (at + 2 <= end) {
      let body = at + 1
      let length = 0
      let shift = 0
      let digit = 0x80
      while (digit >= 0x80 && body < end) {
        digit = bytes[body++] as number
        length |= (digit & 0x7f) << shift
        shift += 7
      }
      const next = body + length
      if (digit >= 0x80 || next > end) return at
      this.#onPacket(bytes, bytes[at] as number, body, next)
      at = next
    }
    return at
  }

  #onPacket(bytes: Buffer, first: number, body: number, next: number): void {
    const kind = first >> 4
    if (kind === type.publish) {
      let payloadAt = body + 2 + uint16At(bytes, body)
      if ((first & 0x06) !== 0) {
        this.#answerLater(bytes, payloadAt, (first & 0x04) === 0 ? answers.puback : answers.pubrec)
        payloadAt += 2
      }
      if (this.#level === 5) payloadAt = propertiesEnd(bytes, payloadAt)
      this.#receiver.onPublish(bytes, payloadAt)
    } else if (kind === type.puback || kind === type.pubcomp) {
      this.#receiver.onPuback(uint16At(bytes, body))
    } else if (kind === type.pubrec) {
      this.#answerLater(bytes, body, answers.pubrel)
    } else if (kind === type.pubrel) {
      this.#answerLater(bytes, body, answers.pubcomp)
    } else {
      this.#onAnswer(kind, bytes[kind === type.connack ? body + 1 : next - 1] as number)
    }
  }

  #onAnswer(kind: number, code: number): void {
    const answer = this.#answer
    if (answer === null || answer.type !== kind) return
    this.#answer = null
    if (code === 0 || (kind === type.suback && code <= 2) || kind === type.unsuback) answer.resolve()
    else answer.reject(new Error(`the broker refused with code ${code}`))
  }

  /** With the packet id that stands at `at`. */
  #answerLater(bytes: Buffer, at: number, first: number): void {
    const place = this.#toAcknowledge++
    this.#scratch.packetIds[place] = uint16At(bytes, at)
    this.#scratch.answers[place] = first
  }

  #acknowledge(): void {
    const { packetIds, answers } = this.#scratch
    const count = this.#toAcknowledge
    this.#toAcknowledge = 0
    const bytes = Buffer.allocUnsafe(count * 4)
    for (let i = 0, at = 0; i < count; i++) {
      const id = packetIds[i] as number
      bytes[at++] = answers[i] as number
      bytes[at++] = 2
      bytes[at++] = id >> 8
      bytes[at++] = id & 0xff
    }
    this.#socket.write(bytes)
  }
}

function uint16At(bytes: Buffer, at: number): number {
  return ((bytes[at] as number) << 8) | (bytes[at + 1] as number)
}

/** Where the properties that begin at `at` end. */
function propertiesEnd(bytes: Buffer, at: number): number {
  let length = 0
  let shift = 0
  let digit = 0x80
  let end = at
  while (digit >= 0x80) {
    digit = bytes[end++] as number
    length |= (digit & 0x7f) << shift
    shift += 7
  }
  return end + length
}
