// Hot path (bench: p2p QoS 1, QoS 2): acknowledgements leave in the order of the publishes, per connection.
import { packetType } from './codec/packet-type.ts'

const waiting = 0xffff

/** What answers a publish of QoS 1 or 2. */
export type Answer = typeof packetType.PUBACK | typeof packetType.PUBREC

/**
 * Written out in order: `reason` is MQTT 5's; `text` is the server id of a chat message or the sentence of a refusal, '' for
 * what plain topics took.
 */
export type WriteAnswer = (type: Answer, packetId: number, reason: number, text: string) => void

/** A ring of at most `size` publishes that are not answered; `size` is a power of two. */
export class Acks {
  private readonly packetIds: Uint16Array
  private readonly reasons: Uint16Array
  private readonly types: Uint8Array
  private readonly texts: string[]
  private readonly mask: number
  private first = 0
  private next = 0
  /** Those among them that PUBREC answers. */
  receiving = 0

  constructor(size: number) {
    this.mask = size - 1
    this.packetIds = new Uint16Array(size)
    this.reasons = new Uint16Array(size)
    this.types = new Uint8Array(size)
    this.texts = new Array<string>(size).fill('')
  }

  get count(): number {
    return this.next - this.first
  }

  get isFull(): boolean {
    return this.next - this.first > this.mask
  }

  /** A publish has come; answers its token. The ring is not full. */
  push(type: Answer, packetId: number): number {
    const token = this.next++
    const at = token & this.mask
    this.packetIds[at] = packetId
    this.reasons[at] = waiting
    this.types[at] = type
    if (type === packetType.PUBREC) this.receiving++
    return token
  }

  /** The packet id of a QoS 2 publish that is not settled; 0: its QoS is 1. */
  receivedId(token: number): number {
    const at = token & this.mask
    return this.types[at] === packetType.PUBREC ? (this.packetIds[at] as number) : 0
  }

  /** Writes this acknowledgement and those behind it, as far as they are settled. */
  settle(token: number, reason: number, text: string, write: WriteAnswer): void {
    this.reasons[token & this.mask] = reason
    this.texts[token & this.mask] = text
    while (this.first < this.next) {
      const at = this.first & this.mask
      const settled = this.reasons[at] as number
      if (settled === waiting) return
      this.first++
      const type = this.types[at] as Answer
      if (type === packetType.PUBREC) this.receiving--
      write(type, this.packetIds[at] as number, settled, this.texts[at] as string)
    }
  }
}
