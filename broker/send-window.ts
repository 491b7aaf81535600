// Hot path (bench: p2p QoS 1): packet ids, and what is sent and not yet acknowledged.
import type { Publication } from './publication.ts'

/** One QoS 1 message on its way to a client. */
export type InFlight = Readonly<{
  publication: Publication
  retain: boolean
  subscriptionIds: readonly number[]
  /** Told of the acknowledgement; `place` is a queue position or a seq. */
  origin: Origin
  place: number
}>

export interface Origin {
  /** Places up to here may have been sent by an earlier run of the broker: they go out with DUP. */
  readonly repeatsUpTo: number
  acknowledged(place: number, publication: Publication): void
}

/** A clean session forgets its messages with its connection, so nothing is kept for them. */
export const forgettable: unique symbol = Symbol('forgettable')
type Slot = InFlight | typeof forgettable | null

/**
 * Packet ids behind `base`, as many as `size`, handed out in turn; an id is free again once it is acknowledged
 * [MQTT-2.2.1-4]. Ids of an earlier run of the broker are none of these.
 */
export class SendWindow {
  private readonly base: number
  /** By id - base; index 0 is never used. */
  private readonly slots: Slot[]
  private readonly free: Uint16Array
  private nextFree = 0
  private taken = 0
  /** In flight under the packet ids of an earlier run. */
  private readonly former = new Map<number, InFlight>()
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
    return this.taken + this.former.size
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
    return id === undefined || !entry || entry === forgettable ? null : [id, entry]
  }

  /** Takes a packet id; the window is not full. */
  take(entry: InFlight | typeof forgettable): number {
    const at = this.free[this.nextFree] as number
    this.nextFree = this.nextFree + 1 === this.free.length ? 0 : this.nextFree + 1
    this.taken++
    this.slots[at] = entry
    const id = this.base + at
    if (entry !== forgettable) this.sent.push(id)
    return id
  }

  /** Takes the packet id that the entry had in an earlier run; the window is not full. */
  takeFormer(entry: InFlight, id: number): void {
    this.former.set(id, entry)
    this.sent.push(id)
  }

  /** Frees the id. Null: nothing is in flight under it. */
  release(id: number): Slot {
    const entry = this.entry(id)
    if (entry === null) return null
    if (this.former.size === 0 || !this.former.delete(id)) this.giveBack(id - this.base)
    if (entry !== forgettable) this.forget(id)
    return entry
  }

  /** What came from there, in the order of sending. */
  inFlightOf(origin: Origin): readonly (readonly [place: number, id: number])[] {
    return this.sent.flatMap((id) => {
      const entry = this.entry(id)
      return entry !== null && entry !== forgettable && entry.origin === origin ? [[entry.place, id] as const] : []
    })
  }

  private entry(id: number): Slot {
    return this.slots[id - this.base] ?? this.former.get(id) ?? null
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
