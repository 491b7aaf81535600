// Hot path (bench: p2p): what a socket delivers, cut into packets. A packet that is whole in its chunk is not copied.
import { frame, INCOMPLETE, readFrame } from './codec/frame.ts'

/** Answers false to stop: the packet was not taken, and neither are those behind it. */
export type TakePacket = (buffer: Buffer, start: number) => boolean

const none: Buffer = Buffer.alloc(0)

export class Input {
  /** Of the whole packet; asked anew for each. */
  maxPacketBytes: number
  /** Packets that were taken. */
  taken = 0
  private readonly take: TakePacket
  /** Bytes that are not handled yet: the start of a packet, or what waits while `take` says stop. May have room behind them. */
  private rest: Buffer = none
  private restBytes = 0
  /** Whole length that `rest` needs before it is worth looking again. */
  private needed = 0

  constructor(maxPacketBytes: number, take: TakePacket) {
    this.maxPacketBytes = maxPacketBytes
    this.take = take
  }

  /**
   * Handles all whole packets. False: `take` said stop; `add(null)` goes on. @throws Malformed; a header that was refused
   * is kept, so that `add(null)` asks again.
   */
  add(chunk: Buffer | null): boolean {
    const buffer = this.join(chunk)
    if (buffer === null) return true
    let offset = 0
    const end = buffer.length
    while (offset < end) {
      const next = this.find(buffer, offset)
      if (next === INCOMPLETE) {
        this.needed = frame.bodyEnd > 0 ? frame.bodyEnd - offset : 0
        break
      }
      if (!this.take(buffer, offset)) {
        this.keep(buffer.subarray(offset))
        return false
      }
      this.taken++
      offset = next
    }
    // A copy, so that a short rest does not hold the socket's whole chunk.
    if (offset < end) this.keep(Buffer.from(buffer.subarray(offset)))
    return true
  }

  /** Keeps what arrives after a stop. */
  hold(chunk: Buffer): void {
    if (this.restBytes === 0) this.keep(chunk)
    else this.append(chunk)
  }

  private find(buffer: Buffer, offset: number): number {
    try {
      return readFrame(buffer, offset, buffer.length, this.maxPacketBytes)
    } catch (fault) {
      this.keep(buffer.subarray(offset))
      throw fault
    }
  }

  private keep(bytes: Buffer): void {
    this.rest = bytes
    this.restBytes = bytes.length
  }

  /** Copied: a packet that comes in a million pieces costs its length, not a million objects. */
  private append(chunk: Buffer): void {
    const bytes = this.restBytes + chunk.length
    if (bytes > this.rest.length) {
      const wanted = this.needed > bytes ? Math.min(this.needed, 2 * bytes) : 2 * bytes
      const grown = Buffer.allocUnsafeSlow(wanted)
      this.rest.copy(grown, 0, 0, this.restBytes)
      this.rest = grown
    }
    chunk.copy(this.rest, this.restBytes)
    this.restBytes = bytes
  }

  private join(chunk: Buffer | null): Buffer | null {
    if (this.restBytes === 0) return chunk
    if (chunk !== null) this.append(chunk)
    if (this.restBytes < this.needed) return null
    const joined = this.rest.subarray(0, this.restBytes)
    this.keep(none)
    this.needed = 0
    return joined
  }
}
