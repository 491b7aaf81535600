// Hot path (bench: p2p QoS 1): acknowledgements leave in the order of the publishes, per connection.

const waiting = 0xffff

/** Written out in order: `reason` is MQTT 5's; `id` is the server id of a chat message, '' for plain topics. */
export type WriteAck = (packetId: number, reason: number, id: string) => void

/** A ring of at most `size` publishes that are not acknowledged; `size` is a power of two. */
export class Acks {
  private readonly packetIds: Uint16Array
  private readonly reasons: Uint16Array
  private readonly ids: string[]
  private readonly mask: number
  private first = 0
  private next = 0

  constructor(size: number) {
    this.mask = size - 1
    this.packetIds = new Uint16Array(size)
    this.reasons = new Uint16Array(size)
    this.ids = new Array<string>(size).fill('')
  }

  get count(): number {
    return this.next - this.first
  }

  get isFull(): boolean {
    return this.next - this.first > this.mask
  }

  /** A publish has come; answers its token. The ring is not full. */
  push(packetId: number): number {
    const token = this.next++
    const at = token & this.mask
    this.packetIds[at] = packetId
    this.reasons[at] = waiting
    return token
  }

  /** Writes this acknowledgement and those behind it, as far as they are settled. */
  settle(token: number, reason: number, id: string, write: WriteAck): void {
    this.reasons[token & this.mask] = reason
    this.ids[token & this.mask] = id
    while (this.first < this.next) {
      const at = this.first & this.mask
      const settled = this.reasons[at] as number
      if (settled === waiting) return
      this.first++
      write(this.packetIds[at] as number, settled, this.ids[at] as string)
    }
  }
}
