// Hot path (bench: p2p): what a socket delivers, cut into packets. A packet that is whole in its chunk is not copied.
import { frame, INCOMPLETE, readFrame } from './codec/frame.ts'

/** Answers false to stop: the packet was not taken, and neither are those behind it. */
export type TakePacket = (buffer: Buffer, start: number) => boolean

const none: Buffer = Buffer.alloc(0)

export class Input {
  private readonly maxPacketBytes: number
  private readonly take: TakePacket
  /** Bytes that are not handled yet: the start of a packet, or what waits while `take` says stop. */
  private rest: Buffer = none
  /** Chunks behind `rest` of one long packet, joined when it is whole. */
  private parts: Buffer[] = []
  private partBytes = 0
  /** Whole length that `rest` needs before it is worth looking again. */
  private needed = 0

  constructor(maxPacketBytes: number, take: TakePacket) {
    this.maxPacketBytes = maxPacketBytes
    this.take = take
  }

  /** Handles all whole packets. False: `take` said stop; `add(null)` goes on. @throws Malformed */
  add(chunk: Buffer | null): boolean {
    const buffer = this.join(chunk)
    if (buffer === null) return true
    let offset = 0
    const end = buffer.length
    while (offset < end) {
      const next = readFrame(buffer, offset, end, this.maxPacketBytes)
      if (next === INCOMPLETE) {
        this.needed = frame.bodyEnd > 0 ? frame.bodyEnd - offset : 0
        break
      }
      if (!this.take(buffer, offset)) {
        this.rest = buffer.subarray(offset)
        return false
      }
      offset = next
    }
    // A copy, so that a short rest does not hold the socket's whole chunk.
    if (offset < end) this.rest = Buffer.from(buffer.subarray(offset))
    return true
  }

  /** Keeps what arrives after a stop. */
  hold(chunk: Buffer): void {
    if (this.rest.length === 0) {
      this.rest = chunk
      return
    }
    this.parts.push(chunk)
    this.partBytes += chunk.length
  }

  private join(chunk: Buffer | null): Buffer | null {
    if (this.rest.length === 0) return chunk
    if (chunk !== null) {
      this.parts.push(chunk)
      this.partBytes += chunk.length
    }
    if (this.rest.length + this.partBytes < this.needed) return null
    const joined = this.parts.length === 0 ? this.rest : Buffer.concat([this.rest, ...this.parts])
    this.rest = none
    this.parts = []
    this.partBytes = 0
    this.needed = 0
    return joined
  }
}
