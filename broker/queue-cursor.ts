// Where a persistent session stands in its queue in the store.
import type { Publication } from './publication.ts'

/** How a message of the queue goes out. `released`: its client has it, PUBREL goes out in its place. */
export type QueuedOut = Readonly<{
  qos: 1 | 2
  released: boolean
  retain: boolean
  subscriptionIds: readonly number[]
  /** The shared subscription that it was chosen for; empty: none. */
  share: string
}>

export type Uncommitted = Readonly<{ publication: Publication; out: QueuedOut; position: number }>

/** Positions only grow; what is between head and cursor was sent, what is between cursor and tail was not. */
export class QueueCursor {
  /** Highest position that the queue has. */
  tail = 0
  /** Highest position that was sent, or left out. */
  cursor = 0
  messages = 0
  bytes = 0
  /** Live messages are not taken: they are read from the store, behind what waits there. */
  behind = false
  reading = false
  /** The queue has grown while it was being read. */
  readAgain = false
  /** Of these shared subscriptions there may be messages, which other members could take. */
  readonly shared = new Set<string>()
  /** Positions up to here may have been sent by an earlier run of the broker: they go out with DUP. */
  dupUpTo = 0
  /** Live messages behind one that may go out only when it is committed, in order; all of QoS 2 are such. */
  uncommitted: Uncommitted[] = []
  /** What an earlier run of the broker had in flight: position → packet id. */
  former: ReadonlyMap<number, number> = new Map()
  /** Its cursor: positions up to there that were not in flight are acknowledged. */
  formerCursor = 0
  private readonly outstanding = new Set<number>()

  /** All positions up to here are acknowledged. */
  get head(): number {
    const [first] = this.outstanding
    return first === undefined ? this.cursor : first - 1
  }

  /** Positions up to here may have been sent. */
  get sent(): number {
    return Math.max(this.cursor, this.dupUpTo)
  }

  /** Positions up to here that are not in flight are acknowledged. */
  get knownUpTo(): number {
    return Math.max(this.cursor, this.formerCursor)
  }

  /** What an earlier run had in flight and this one has not sent again. */
  get formerAhead(): readonly (readonly [position: number, packetId: number])[] {
    return [...this.former].filter(([position]) => position > this.cursor)
  }

  /**
   * It was acknowledged in an earlier run, behind others that were not. QoS 2: with PUBCOMP; what the client has is known by
   * the reference itself.
   */
  isAcknowledged(position: number, { qos, released }: Pick<QueuedOut, 'qos' | 'released'>): boolean {
    return position <= this.formerCursor && !this.former.has(position) && (qos === 1 || released)
  }

  /** Its client may have it, so neither expiry [MQTT-4.3.3-7] nor policy ends it half way: its packet id is taken there. */
  hasBegun(position: number, { qos, released }: Pick<QueuedOut, 'qos' | 'released'>): boolean {
    return qos === 2 && (released || position <= this.dupUpTo)
  }

  /**
   * Another member of its shared subscription may have it: it is not acknowledged, and not half way at QoS 2
   * [MQTT-4.8.2-4], [MQTT-4.8.2-5].
   */
  mayMove(position: number, out: Pick<QueuedOut, 'qos' | 'released'>): boolean {
    if (position <= this.cursor) return out.qos === 1 && this.outstanding.has(position)
    return !this.hasBegun(position, out) && !this.isAcknowledged(position, out)
  }

  /** They are in other queues: unsent ones are not waited for. */
  moved(messages: number, bytes: number): void {
    this.count(-messages, -bytes)
    this.settle()
  }

  /** Of what came up to `tail` nothing is left to be read. */
  catchUp(tail: number): void {
    this.cursor = Math.max(this.cursor, tail)
    this.behind = this.tail > this.cursor
    this.settle()
  }

  grow(position: number, bytes: number): void {
    this.tail = position
    this.count(1, bytes)
  }

  /** It is read from the store from now on, behind its cursor. */
  fallBehind(): void {
    this.behind = true
    this.uncommitted = []
  }

  send(position: number): void {
    this.cursor = position
    this.outstanding.add(position)
  }

  acknowledge(position: number, bytes: number): void {
    if (this.outstanding.delete(position)) this.count(-1, -bytes)
    this.settle()
  }

  /** A message that is not to be sent any more. */
  skip(position: number, bytes: number): void {
    this.cursor = position
    this.count(-1, -bytes)
    this.settle()
  }

  /** The oldest were dropped: all up to `head`. */
  drop(head: number, messages: number, bytes: number): void {
    if (head > this.cursor) this.cursor = head
    for (const position of this.outstanding) if (position <= head) this.outstanding.delete(position)
    this.count(-messages, -bytes)
    this.settle()
  }

  count(messages: number, bytes: number): void {
    this.messages += messages
    this.bytes += bytes
  }

  /** An acknowledgement that crosses a drop is counted twice: an empty queue counts nothing. */
  private settle(): void {
    if (this.outstanding.size > 0 || this.cursor < this.tail) return
    this.messages = 0
    this.bytes = 0
    this.shared.clear()
  }
}
