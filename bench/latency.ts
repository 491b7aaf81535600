// Percentiles of ages in microseconds.

export type Percentiles = Readonly<{ p50Ms: number; p99Ms: number }>

export class Latency {
  #ages: number[] = []

  add(ageUs: number): void {
    this.#ages.push(ageUs)
  }

  /** The percentiles of what was added since the last call. */
  take(): Percentiles {
    const sorted = Float64Array.from(this.#ages).sort()
    this.#ages = []
    const at = (share: number): number => (sorted[Math.ceil(sorted.length * share) - 1] ?? Number.NaN) / 1000
    return { p50Ms: at(0.5), p99Ms: at(0.99) }
  }
}
