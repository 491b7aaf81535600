// XEP-0198 §4: how many stanzas of the peer are handled, none of those before left out.

/**
 * A stanza counts when it has been taken, and a message when it has been settled as well. What was taken before
 * `start` never counts.
 */
export class Handled {
  #isCounting = false
  #taken = 0
  #arrived = 0
  #isTaking = false
  /** The number of each message that is not settled, in their order; 0: from before the start. */
  readonly #unsettled = new Map<number, number>()
  #idle: (() => void)[] = []

  start(): void {
    this.#isCounting = true
    this.#taken = 0
    this.#arrived = 0
  }

  get unsettled(): number {
    return this.#unsettled.size
  }

  /** `h` of §4. */
  get count(): number {
    for (const number of this.#unsettled.values()) {
      if (number > 0) return (number - 1) >>> 0
    }
    return this.#taken >>> 0
  }

  /** Handled or not. */
  get arrived(): number {
    return Math.max(this.#arrived, this.#taken)
  }

  arrive(): void {
    if (this.#isCounting) this.#arrived++
  }

  /** What arrived and was not taken is gone with its stream. */
  forgetArrived(): void {
    this.#arrived = this.#taken
  }

  /** The stanza that is being taken has become a message of this token. */
  admit(token: number): void {
    this.#unsettled.set(token, this.#isCounting ? this.#taken + 1 : 0)
  }

  settle(token: number): void {
    this.#unsettled.delete(token)
    this.#check()
  }

  begin(): void {
    this.#isTaking = true
  }

  end(): void {
    this.#isTaking = false
    if (this.#isCounting) this.#taken++
    this.#check()
  }

  /** Fulfilled when everything that was begun is settled. */
  whenIdle(): Promise<void> {
    return new Promise((resolve) => {
      this.#idle.push(resolve)
      this.#check()
    })
  }

  #check(): void {
    if (this.#isTaking || this.#unsettled.size > 0 || this.#idle.length === 0) return
    const waiting = this.#idle
    this.#idle = []
    for (const resolve of waiting) resolve()
  }
}
