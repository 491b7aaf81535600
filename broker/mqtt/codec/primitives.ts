// Data representation of MQTT 5 §1.5 (3.1.1 §1.5): what a decoder reads. Nothing is read at or past `end`.
import { isUtf8 } from 'node:buffer'
import { malformed } from './malformed.ts'

/** The byte at a place that the caller knows to be inside. */
export function byteAt(buffer: Uint8Array, at: number): number {
  return buffer[at] as number
}

/** Every byte is ASCII and none is NUL: most strings, checked without a call into C++. */
export function isPlainAscii(buffer: Uint8Array, start: number, end: number): boolean {
  for (let at = start; at < end; at++) {
    const byte = byteAt(buffer, at)
    if (byte === 0 || byte >= 0x80) return false
  }
  return true
}

/** @throws Malformed 0x81 for ill-formed UTF-8, surrogates and U+0000 */
export function checkUtf8(buffer: Buffer, start: number, end: number): void {
  if (isPlainAscii(buffer, start, end)) return
  const bytes = buffer.subarray(start, end)
  if (!isUtf8(bytes)) throw malformed('A string is not well-formed UTF-8') // [MQTT-1.5.4-1]
  if (bytes.includes(0)) throw malformed('A string contains U+0000') // [MQTT-1.5.4-2]
}

/** Decodes a checked string; U+FEFF stays. @throws Malformed 0x81 */
export function decodeUtf8(buffer: Buffer, start: number, end: number): string {
  if (isPlainAscii(buffer, start, end)) return buffer.toString('latin1', start, end)
  checkUtf8(buffer, start, end)
  return buffer.toString('utf8', start, end) // [MQTT-1.5.4-3]
}

/** A cursor over one packet's body. Every read that would cross `end` throws Malformed 0x81. */
export class Reader {
  readonly buffer: Buffer
  offset: number
  end: number

  constructor(buffer: Buffer, start: number, end: number) {
    this.buffer = buffer
    this.offset = start
    this.end = end
  }

  get left(): number {
    return this.end - this.offset
  }

  /** Moves past `length` bytes and returns where they start. */
  take(length: number): number {
    const start = this.offset
    if (length > this.end - start) throw malformed('A field is longer than its packet')
    this.offset = start + length
    return start
  }

  u8(): number {
    return byteAt(this.buffer, this.take(1))
  }

  u16(): number {
    const at = this.take(2)
    return (byteAt(this.buffer, at) << 8) | byteAt(this.buffer, at + 1)
  }

  u32(): number {
    return this.buffer.readUInt32BE(this.take(4))
  }

  /** Variable Byte Integer (§1.5.5): at most four bytes, as few as possible. */
  varint(): number {
    let value = 0
    for (let shift = 0; shift <= 21; shift += 7) {
      const byte = this.u8()
      value |= (byte & 0x7f) << shift
      if (byte >= 0x80) continue
      if (byte === 0 && shift > 0) throw malformed('A length uses more bytes than it needs') // [MQTT-1.5.5-1]
      return value
    }
    throw malformed('A length has more than four bytes')
  }

  string(): string {
    const length = this.u16()
    const start = this.take(length)
    return decodeUtf8(this.buffer, start, this.offset)
  }

  /** A copy: the packet's buffer may be reused. */
  binary(): Buffer {
    const length = this.u16()
    const start = this.take(length)
    return Buffer.from(this.buffer.subarray(start, this.offset))
  }

  /** @throws Malformed 0x81 when the packet is longer than its fields */
  finish(): void {
    if (this.offset !== this.end) throw malformed('Bytes follow the last field of a packet')
  }
}
