// XEP-0198 §4: what one side has sent and the other has not yet acknowledged.

/** A stanza that went out: itself, or where the log has it. */
export type Sent = Readonly<{
  /** Null: `seq` finds it in the owner's log. */
  xml: string | null
  /** 0: not in the log. */
  seq: number
  /** The account position that its acknowledgement proves; 0: none. */
  proves: number
}>

type Limits = Readonly<{
  /** Stanzas of the log in flight. They are kept as numbers, and wait in the log beyond it. */
  places: number
  /** Characters of all other stanzas: what others say has no room beyond it. */
  chars: number
}>

/** How much of what must be kept is too much: whoever does not acknowledge that much is closed. */
const excess = 4

export class Ledger {
  /** Set when an acknowledgement was asked for that did not come yet. */
  isAsked = false
  readonly #limits: Limits
  #waiting: Sent[] = []
  #places = 0
  #chars = 0
  /** Counts modulo 2^32 (§4). */
  #acknowledged = 0

  constructor(limits: Limits) {
    this.#limits = limits
  }

  get length(): number {
    return this.#waiting.length
  }

  /** Characters that are kept. */
  get chars(): number {
    return this.#chars
  }

  get isFull(): boolean {
    return this.#places >= this.#limits.places
  }

  get hasRoom(): boolean {
    return this.#chars < this.#limits.chars
  }

  /** Half of it is for what its own account brings about. */
  get hasRoomForOthers(): boolean {
    return this.#chars < this.#limits.chars / 2
  }

  get isOverfull(): boolean {
    return this.#chars >= this.#limits.chars * excess
  }

  /** Numbers of the log that are not acknowledged. */
  get seqs(): readonly number[] {
    return this.#waiting.flatMap(({ seq }) => (seq > 0 ? [seq] : []))
  }

  get sent(): number {
    return (this.#acknowledged + this.#waiting.length) >>> 0
  }

  add(sent: Sent): void {
    this.#waiting.push(sent)
    if (sent.xml === null) this.#places++
    else this.#chars += sent.xml.length
  }

  /** The acknowledgement of all that went out so far proves `position`. False: nothing is waiting. */
  mark(position: number): boolean {
    const last = this.#waiting.pop()
    if (last === undefined) return false
    this.#waiting.push({ ...last, proves: Math.max(last.proves, position) })
    return true
  }

  /** The account position that `h` proves, 0 for none; null: so many were never sent (§4). */
  acknowledge(h: number): number | null {
    const count = (h - this.#acknowledged) >>> 0
    if (count > this.#waiting.length) return null
    this.isAsked = false
    this.#acknowledged = h >>> 0
    return this.#drop(count)
  }

  /** Everything that waits, to be sent and counted again. */
  restart(): readonly Sent[] {
    const again = this.#waiting
    this.#drop(again.length)
    this.isAsked = false
    return again
  }

  #drop(count: number): number {
    const gone = this.#waiting.slice(0, count)
    this.#waiting = this.#waiting.slice(count)
    for (const { xml } of gone) {
      if (xml === null) this.#places--
      else this.#chars -= xml.length
    }
    return gone.reduce((most, { proves }) => Math.max(most, proves), 0)
  }
}
