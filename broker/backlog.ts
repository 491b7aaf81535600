// QoS 1 messages of a clean session that wait in memory for its window or its socket.
import type { Publication } from './publication.ts'

export type Waiting = Readonly<{ publication: Publication; retain: boolean; subscriptionIds: readonly number[] }>

/** First in, first out, bounded in messages and bytes; at a bound the oldest is dropped. */
export class Backlog {
  private items: Waiting[] = []
  private first = 0
  private bytes = 0
  private readonly maxMessages: number
  private readonly maxBytes: number

  constructor(maxMessages: number, maxBytes: number) {
    this.maxMessages = maxMessages
    this.maxBytes = maxBytes
  }

  get length(): number {
    return this.items.length - this.first
  }

  /** Answers how many old ones had to go. */
  push(item: Waiting): number {
    this.items.push(item)
    this.bytes += sizeOf(item)
    let dropped = 0
    while (this.length > 1 && (this.length > this.maxMessages || this.bytes > this.maxBytes)) {
      this.shift()
      dropped++
    }
    return dropped
  }

  shift(): Waiting | undefined {
    const item = this.items[this.first]
    if (item === undefined) return undefined
    this.bytes -= sizeOf(item)
    this.first++
    if (this.first > 1024 && this.first * 2 > this.items.length) {
      this.items = this.items.slice(this.first)
      this.first = 0
    }
    return item
  }
}

const sizeOf = ({ publication }: Waiting) => 200 + publication.end - publication.start
