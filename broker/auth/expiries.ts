import type { Logger } from '../log.ts'

/** What ends at an instant of its own: one sweep for all, no timer each. */
export interface Expiries {
  /** Calls `end` once, in the first sweep after `expiresAt` (milliseconds since the epoch). Returns undo. */
  onEnd(expiresAt: number, end: () => void): () => void
  /** Once a second. */
  sweep(): void
}

type Deps = Readonly<{ logger: Logger; now?: () => number }>

export function createExpiries({ logger, now = Date.now }: Deps): Expiries {
  // By whole seconds: a token says no more.
  const seconds = new Map<number, Set<() => void>>()
  return {
    onEnd(expiresAt, end) {
      const second = Math.ceil(expiresAt / 1000)
      const ends = seconds.get(second) ?? new Set()
      seconds.set(second, ends)
      ends.add(end)
      return () => {
        ends.delete(end)
        if (ends.size === 0 && seconds.get(second) === ends) seconds.delete(second)
      }
    },
    sweep() {
      const second = now() / 1000
      for (const [at, ends] of seconds) {
        if (at > second) continue
        seconds.delete(at)
        for (const end of ends) {
          try {
            end()
          } catch (err) {
            logger.error({ err }, 'a connection could not be ended')
          }
        }
      }
    },
  }
}
