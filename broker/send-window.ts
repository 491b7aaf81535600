// Hot path (bench: p2p QoS 1, QoS 2): packet ids, and what is sent and not yet acknowledged.
import type { Publication } from './publication.ts'
import type { Qos } from './types.ts'

/**
 * How far a QoS 2 message is: PUBLISH sent; PUBREC has come, with a reason to go on (`keeping`) or not (`refused`), and the
 * store is told; PUBREL sent. QoS 1 is only ever `sent`.
 */
export type Stage = 'sent' | 'keeping' | 'refused' | 'released'

/** One message on its way to a client. */
export type InFlight = Readonly<{
  publication: Publication
  qos: Qos
  retain: boolean
  subscriptionIds: readonly number[]
  /** Told of the acknowledgement; `place` is a queue position or a seq. */
  origin: Origin
  place: number
  /** The shared subscription that the session was chosen for. */
  share?: string
}> & { stage: Stage }

export interface Origin {
  /** Places up to here may have been sent by an earlier run of the broker: they go out with DUP. */
  readonly repeatsUpTo: number
  acknowledged(place: number, publication: Publication): void
}

/** A clean session forgets its messages with its connection, so nothing is kept for them. By QoS; 2 has two stages. */
export const forgettable: unique symbol = Symbol('QoS 1')
export const forgettable2: unique symbol = Symbol('QoS 2')
export const released: unique symbol = Symbol('QoS 2, released')
type Forgettable = typeof forgettable | typeof forgettable2 | typeof released
type Slot = InFlight | Forgettable | null

/** Ids above are those of QoS 2 messages from a queue, which follow from their positions; no window reaches them. */
export const maxWindowId = 0x7fff

/** The packet id of a QoS 2 message from a queue: the same after a restart, without a word to the store. */
export const packetIdOf = (position: number): number => maxWindowId + 1 + (position % (maxWindowId + 1))

/**
 * Packet ids behind `base`, as many as `size`, handed out in turn; an id is free again once it is acknowledged
 * [MQTT-2.2.1-4], [MQTT-4.3.3-1]. Ids of an earlier run of the broker, and of QoS 2 from a queue, are none of these.
 */
export class SendWindow {
  private readonly base: number
  /** By id - base; index 0 is never used. */
  private readonly slots: Slot[]
  private readonly free: Uint16Array
  private nextFree = 0
  private taken = 0
  /** In flight under packet ids that are not handed out. */
  private readonly apart = new Map<number, InFlight>()
  private readonly sent: number[] = []
  /** In flight since before this connection, and not sent again on it. */
  private again: number[] = []
  /** At most this many; the client's Receive Maximum may lower it. */
  limit: number

  constructor(size: number, base = 0) {
    this.limit = size
    this.base = base
    this.slots = new Array<Slot>(size + 1).fill(null)
    this.free = Uint16Array.from({ length: size }, (_, i) => i + 1)
  }

  private get used(): number {
    return this.taken + this.apart.size
  }

  get isFull(): boolean {
    return this.used >= this.limit || this.again.length > 0
  }

  /** A new connection: what is in flight is to be sent again. */
  reopen(limit: number): void {
    this.limit = limit
    this.again = [...this.sent]
  }

  get mustSendAgain(): boolean {
    return this.again.length > 0
  }

  /**
   * What is sent again next, in the order of the first sending [MQTT-4.6.0-1]. Null: nothing, or as much is in flight as
   * the client takes [MQTT-3.3.4-9].
   */
  takeAgain(): readonly [id: number, entry: InFlight] | null {
    if (this.used - this.again.length >= this.limit) return null
    const id = this.again.shift()
    const entry = id === undefined ? null : this.entry(id)
    return id === undefined || entry === null || typeof entry === 'symbol' ? null : [id, entry]
  }

  /** Takes a packet id; the window is not full. */
  take(entry: InFlight | Forgettable): number {
    const at = this.free[this.nextFree] as number
    this.nextFree = this.nextFree + 1 === this.free.length ? 0 : this.nextFree + 1
    this.taken++
    this.slots[at] = entry
    const id = this.base + at
    if (typeof entry !== 'symbol') this.sent.push(id)
    return id
  }

  /** Takes a packet id that the entry has already, and nothing else in flight; the window is not full. */
  takeApart(entry: InFlight, id: number): void {
    this.apart.set(id, entry)
    this.sent.push(id)
  }

  has(id: number): boolean {
    return this.entry(id) !== null
  }

  /** PUBREC. Null: no QoS 2 message is in flight under this id; `released`: PUBREL is to be sent, nobody keeps it. */
  receive(id: number): InFlight | typeof released | null {
    const entry = this.entry(id)
    if (entry === null || entry === forgettable) return null
    if (typeof entry !== 'symbol') return entry.qos === 2 ? entry : null
    this.slots[id - this.base] = released
    return released
  }

  /** PUBACK: frees the id. Null: no QoS 1 message is in flight under it. */
  acknowledge(id: number): Slot {
    const entry = this.entry(id)
    const isQos1 = entry === forgettable || (entry !== null && typeof entry !== 'symbol' && entry.qos === 1)
    return isQos1 ? this.release(id) : null
  }

  /** PUBCOMP: frees the id. Null: nothing waits for it. */
  complete(id: number): Slot {
    const entry = this.entry(id)
    const isReleased = entry === released || (entry !== null && typeof entry !== 'symbol' && entry.stage === 'released')
    return isReleased ? this.release(id) : null
  }

  /** Frees the id. Null: nothing is in flight under it. */
  release(id: number): Slot {
    const entry = this.entry(id)
    if (entry === null) return null
    if (this.apart.size === 0 || !this.apart.delete(id)) this.giveBack(id - this.base)
    if (typeof entry !== 'symbol') this.forget(id)
    return entry
  }

  /** What came from there, in the order of sending. */
  inFlightOf(origin: Origin): readonly (readonly [place: number, id: number])[] {
    return this.sent.flatMap((id) => {
      const entry = this.entry(id)
      return entry !== null && typeof entry !== 'symbol' && entry.origin === origin ? [[entry.place, id] as const] : []
    })
  }

  /** What is kept of it, in the order of sending. */
  entries(): readonly InFlight[] {
    return this.sent.flatMap((id) => {
      const entry = this.entry(id)
      return entry === null || typeof entry === 'symbol' ? [] : [entry]
    })
  }

  private entry(id: number): Slot {
    return this.slots[id - this.base] ?? this.apart.get(id) ?? null
  }

  private giveBack(at: number): void {
    this.slots[at] = null
    let place = this.nextFree - this.taken
    if (place < 0) place += this.free.length
    this.free[place] = at
    this.taken--
  }

  private forget(id: number): void {
    // Clients acknowledge in order [MQTT-4.6.0-2], so it is nearly always the first.
    const at = this.sent.indexOf(id)
    if (at >= 0) this.sent.splice(at, 1)
    if (this.again.length > 0) this.again = this.again.filter((other) => other !== id)
  }
}
