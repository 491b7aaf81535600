// Data representation of MQTT 5 §1.5 (3.1.1 §1.5): what an encoder writes.

const LONGEST_VARINT = 268_435_455

/** Bytes that a Variable Byte Integer takes. @throws RangeError above 268,435,455 */
export function varintLength(value: number): 1 | 2 | 3 | 4 {
  if (value < 128) return 1
  if (value < 16_384) return 2
  if (value < 2_097_152) return 3
  if (value <= LONGEST_VARINT) return 4
  throw new RangeError(`${value} does not fit a Variable Byte Integer`)
}

/** Returns the offset behind what it wrote. */
export function writeVarint(buffer: Buffer, offset: number, value: number): number {
  let rest = value
  let at = offset
  while (rest > 127) {
    buffer[at++] = (rest & 0x7f) | 0x80
    rest >>>= 7
  }
  buffer[at++] = rest
  return at
}

/** Returns the offset behind what it wrote. */
export function writeU16(buffer: Buffer, offset: number, value: number): number {
  buffer[offset] = value >>> 8
  buffer[offset + 1] = value & 0xff
  return offset + 2
}

/** Length and bytes; returns the offset behind them. @throws RangeError above 65,535 bytes or when it does not fit */
export function writeString(buffer: Buffer, offset: number, text: string): number {
  const length = Buffer.byteLength(text)
  if (length > 0xffff) throw new RangeError('A string has more than 65,535 bytes')
  if (offset + 2 + length > buffer.length) throw new RangeError('A string does not fit its buffer')
  buffer.write(text, writeU16(buffer, offset, length))
  return offset + 2 + length
}

/** Collects the fields of one packet or property list, for all that is not on the hot path. */
export class Writer {
  #buffer = Buffer.allocUnsafe(128)
  #length = 0

  get length(): number {
    return this.#length
  }

  #reserve(bytes: number): number {
    const at = this.#length
    const needed = at + bytes
    if (needed > this.#buffer.length) {
      const larger = Buffer.allocUnsafe(Math.max(needed, 2 * this.#buffer.length))
      this.#buffer.copy(larger, 0, 0, at)
      this.#buffer = larger
    }
    this.#length = needed
    return at
  }

  u8(value: number): this {
    const at = this.#reserve(1) // before #buffer is read: it may be replaced
    this.#buffer[at] = value
    return this
  }

  u16(value: number): this {
    const at = this.#reserve(2)
    writeU16(this.#buffer, at, value)
    return this
  }

  u32(value: number): this {
    const at = this.#reserve(4)
    this.#buffer.writeUInt32BE(value, at)
    return this
  }

  varint(value: number): this {
    const at = this.#reserve(varintLength(value))
    writeVarint(this.#buffer, at, value)
    return this
  }

  string(text: string): this {
    const at = this.#reserve(2 + Buffer.byteLength(text))
    writeString(this.#buffer, at, text)
    return this
  }

  /** With its length. @throws RangeError above 65,535 bytes */
  binary(bytes: Uint8Array): this {
    if (bytes.length > 0xffff) throw new RangeError('A field has more than 65,535 bytes')
    return this.u16(bytes.length).bytes(bytes)
  }

  /** As they are. */
  bytes(bytes: Uint8Array): this {
    const at = this.#reserve(bytes.length)
    this.#buffer.set(bytes, at)
    return this
  }

  /** A copy of what was written. */
  toBuffer(): Buffer {
    return Buffer.from(this.#buffer.subarray(0, this.#length))
  }

  /** The packet with this body; `first` is type and flags. */
  toPacket(first: number): Buffer {
    const packet = Buffer.allocUnsafe(1 + varintLength(this.#length) + this.#length)
    packet[0] = first
    const body = writeVarint(packet, 1, this.#length)
    this.#buffer.copy(packet, body, 0, this.#length)
    return packet
  }
}
