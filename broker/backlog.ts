// Hot path (bench: frozen-qos1): messages of QoS 1 and 2 of a clean session that wait for its window or its socket, as bytes.
// Thousands of objects that live for seconds cost everyone a pause at each garbage collection; bytes cost none.
import type { Wire } from './publication.ts'
import type { Qos } from './types.ts'

const chunkBytes = 64 * 1024
/** Length (4), places of the packet id (4) and of the expiry (4), expiry (8), QoS (1). */
const headerBytes = 21

type Chunk = { readonly bytes: Buffer; end: number }

/** First in, first out, bounded in messages and bytes; at a bound the oldest is dropped. */
export class Backlog {
  messages = 0
  private bytes = 0
  private chunks: Chunk[] = []
  /** Where the oldest message starts in the first chunk. */
  private at = 0
  private readonly maxMessages: number
  private readonly maxBytes: number

  constructor(maxMessages: number, maxBytes: number) {
    this.maxMessages = maxMessages
    this.maxBytes = maxBytes
  }

  /** Copies the encoded packet; `expiresAt` as in Publication. Answers how many old ones had to go. */
  push({ bytes, start, end, packetIdAt, expiryAt }: Wire, qos: Qos, expiresAt: number): number {
    const length = end - start
    const chunk = this.chunkFor(headerBytes + length)
    chunk.bytes.writeUInt32LE(length, chunk.end)
    chunk.bytes.writeInt32LE(packetIdAt, chunk.end + 4)
    chunk.bytes.writeInt32LE(expiryAt, chunk.end + 8)
    chunk.bytes.writeDoubleLE(expiresAt, chunk.end + 12)
    chunk.bytes[chunk.end + 20] = qos
    bytes.copy(chunk.bytes, chunk.end + headerBytes, start, end)
    chunk.end += headerBytes + length
    this.messages++
    this.bytes += headerBytes + length
    let dropped = 0
    while (this.messages > 1 && (this.messages > this.maxMessages || this.bytes > this.maxBytes)) {
      this.shift()
      dropped++
    }
    return dropped
  }

  /** The oldest packet, lent until `shift`; null when there is none. */
  first(): (Wire & Readonly<{ qos: Qos; expiresAt: number }>) | null {
    const [chunk] = this.chunks
    if (chunk === undefined) return null
    const { bytes } = chunk
    const start = this.at + headerBytes
    const length = bytes.readUInt32LE(this.at)
    const packetIdAt = bytes.readInt32LE(this.at + 4)
    const expiryAt = bytes.readInt32LE(this.at + 8)
    const expiresAt = bytes.readDoubleLE(this.at + 12)
    return { bytes, start, end: start + length, packetIdAt, expiryAt, qos: bytes[this.at + 20] as Qos, expiresAt }
  }

  /** The oldest is gone. */
  shift(): void {
    const [chunk] = this.chunks
    if (chunk === undefined) return
    const length = headerBytes + chunk.bytes.readUInt32LE(this.at)
    this.messages--
    this.bytes -= length
    this.at += length
    if (this.at < chunk.end) return
    this.chunks.shift()
    this.at = 0
  }

  private chunkFor(length: number): Chunk {
    const last = this.chunks.at(-1)
    if (last !== undefined && last.end + length <= last.bytes.length) return last
    const chunk = { bytes: Buffer.allocUnsafeSlow(Math.max(chunkBytes, length)), end: 0 }
    this.chunks.push(chunk)
    return chunk
  }
}
