// Hot path when it is switched on: how fast one connection may publish. A token bucket.

export class Pace {
  private readonly perSecond: number
  private readonly burst: number
  private tokens: number
  private at = performance.now()

  constructor(perSecond: number) {
    this.perSecond = perSecond
    this.burst = 2 * perSecond
    this.tokens = this.burst
  }

  /** 0: one was taken; else the milliseconds until one can be. */
  take(): number {
    if (this.tokens < 1) {
      const now = performance.now()
      this.tokens = Math.min(this.burst, this.tokens + ((now - this.at) / 1000) * this.perSecond)
      this.at = now
      if (this.tokens < 1) return Math.ceil(((1 - this.tokens) * 1000) / this.perSecond)
    }
    this.tokens--
    return 0
  }
}
