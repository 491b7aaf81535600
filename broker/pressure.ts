// How much waits for the database, and what follows from it (DESIGN §9).
import type { Batcher } from './batcher.ts'
import type { Limits } from './limits.ts'

export type Pressure = Readonly<{
  /** Too many bytes wait: who has something waiting stops before its next durable publish. */
  isFull(): boolean
  /** The oldest commit waits so long that /ready says no. */
  isLate(): boolean
  /** It waits so long that waiting connections are closed. */
  isStalled(): boolean
}>

export function createPressure(
  batchers: readonly Pick<Batcher<unknown>, 'waitingBytes' | 'waitingMs'>[],
  limits: Limits,
): Pressure {
  const bytes = () => batchers.reduce((sum, batcher) => sum + batcher.waitingBytes(), 0)
  const ageMs = () => Math.max(...batchers.map((batcher) => batcher.waitingMs()))
  return {
    isFull: () => bytes() > limits.waitingBytes,
    isLate: () => ageMs() > limits.waitingUnreadyMs,
    isStalled: () => ageMs() > limits.waitingCloseMs,
  }
}
