// Who received what: counts, and finds loss, repeats and wrong order by the sequence numbers.

/** One publisher's messages at one receiver. */
export class Ledger {
  #next = 0
  readonly #missing = new Set<number>()
  received = 0
  repeated = 0
  disordered = 0

  take(sequence: number): void {
    if (sequence === this.#next) {
      this.#next++
      this.received++
    } else {
      this.#takeOther(sequence)
    }
  }

  /** Of the first `sent` messages, those that never came. */
  lost(sent: number): number {
    return this.#missing.size + (sent - this.#next)
  }

  #takeOther(sequence: number): void {
    if (sequence > this.#next) {
      for (let gap = this.#next; gap < sequence; gap++) this.#missing.add(gap)
      this.#next = sequence + 1
      this.received++
    } else if (this.#missing.delete(sequence)) {
      this.disordered++
      this.received++
    } else {
      this.repeated++
    }
  }
}

export type Faults = Readonly<{ lost: number; repeated: number; disordered: number }>

export function faultsOf(entries: Iterable<Readonly<{ ledger: Ledger; sent: number }>>): Faults {
  let lost = 0
  let repeated = 0
  let disordered = 0
  for (const { ledger, sent } of entries) {
    lost += ledger.lost(sent)
    repeated += ledger.repeated
    disordered += ledger.disordered
  }
  return { lost, repeated, disordered }
}
