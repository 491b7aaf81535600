// XEP-0198 §4: the acknowledgements of one session, asked for and given.
// XEP-0198: Stream Management  https://xmpp.org/extensions/xep-0198.html
import { type Element, el } from './element.ts'
import { Handled } from './handled.ts'
import { Ledger, type Sent } from './ledger.ts'

export const smNs = 'urn:xmpp:sm:3'

/** Messages of the log in flight to a device that acknowledges. */
const placesInFlight = 500

type Options = Readonly<{
  /** Characters that are kept for a device until it acknowledges them. */
  maxChars: number
  /** To the stream, if there is one. False: there is none. */
  write(xml: string): boolean
  /** The client has proved this account position. */
  acknowledged(position: number): void
}>

export class Acks {
  readonly handled = new Handled()
  readonly #options: Options
  /** Null: the client does not count. */
  #ledger: Ledger | null = null
  /** An acknowledgement is owed until so many stanzas are handled; 0: none. */
  #tellUntil = 0
  #told = 0
  #willTell = false

  constructor(options: Options) {
    this.#options = options
  }

  get isOn(): boolean {
    return this.#ledger !== null
  }

  /** More of the log must wait. */
  get isFull(): boolean {
    return this.#ledger?.isFull === true
  }

  get hasRoom(): boolean {
    return this.#ledger?.hasRoom !== false
  }

  /** Characters that wait for an acknowledgement. */
  get chars(): number {
    return this.#ledger?.chars ?? 0
  }

  get hasRoomForOthers(): boolean {
    return this.#ledger?.hasRoomForOthers !== false
  }

  get isOverfull(): boolean {
    return this.#ledger?.isOverfull === true
  }

  get sentCount(): number {
    return this.#ledger?.sent ?? 0
  }

  /** Of the log, sent and not acknowledged. */
  get seqs(): readonly number[] {
    return this.#ledger?.seqs ?? []
  }

  /** From now on both sides count. */
  start(): void {
    this.#ledger = new Ledger({ places: placesInFlight, chars: 4 * this.#options.maxChars })
    this.handled.start()
  }

  sent(sent: Sent): void {
    this.#ledger?.add(sent)
    this.#ask()
  }

  /** The acknowledgement of all that went out so far proves `position`. */
  mark(position: number): void {
    if (this.#ledger !== null && !this.#ledger.mark(position)) this.#options.acknowledged(position)
  }

  /** False: so many were never sent. */
  acknowledge(h: number): boolean {
    const position = this.#ledger?.acknowledge(h) ?? null
    if (position === null) return false
    if (position > 0) this.#options.acknowledged(position)
    this.#ask()
    return true
  }

  /** Answered at once, and again when what had come by now is handled (DESIGN §5). */
  tellHandled(): void {
    this.#tellUntil = this.handled.arrived
    this.#tell()
  }

  /** More may be handled than the client was told: once for all that one commit settles. */
  tellLater(): void {
    if (this.#willTell || this.#tellUntil === 0) return
    this.#willTell = true
    queueMicrotask(() => {
      this.#willTell = false
      if (this.#tellUntil > 0 && this.handled.count !== this.#told) this.#tell()
    })
  }

  /** The stream is gone, and with it what had arrived on it and was not taken. */
  detach(): void {
    this.#tellUntil = 0
    this.handled.forgetArrived()
  }

  /** Everything that waits, to be sent again. */
  restart(): readonly Sent[] {
    return this.#ledger?.restart() ?? []
  }

  #tell(): void {
    this.#told = this.handled.count
    this.#options.write(`<a xmlns='${smNs}' h='${this.#told}'/>`)
    if (this.#told >= this.#tellUntil) this.#tellUntil = 0
  }

  /** One question at a time; its answer brings the next one. */
  #ask(): void {
    if (this.#ledger === null || this.#ledger.isAsked || this.#ledger.length === 0) return
    this.#ledger.isAsked = this.#options.write(`<r xmlns='${smNs}'/>`)
  }
}

/** A count of stanzas as it is written; null: it is none. */
export function readCount(h: string | undefined): number | null {
  if (h === undefined || !/^\d{1,10}$/.test(h) || Number(h) > 0xffffffff) return null
  return Number(h)
}

/** §4: the arguments of the stream error for who has handled what was never sent. */
export function tooManyHandled(h: number, sent: number): ['undefined-condition', string, Element] {
  const detail = el('handled-count-too-high', smNs, { h: String(h), 'send-count': String(sent) })
  return ['undefined-condition', `You acknowledged ${h} stanzas of ${sent}.`, detail]
}
