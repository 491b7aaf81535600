import { BrokerError } from '../errors.ts'

/** Lets at most `running` tasks run and `waiting` wait for their turn, first come first served. */
export type Gate = <T>(task: () => Promise<T>) => Promise<T>

/** What comes when all places are taken is refused with `overload`, at once. */
export function createGate(limits: { running: number; waiting: number }): Gate {
  const queue: (() => void)[] = []
  let running = 0
  return async (task) => {
    if (running >= limits.running) {
      if (queue.length >= limits.waiting) throw new BrokerError('overload')
      await new Promise<void>((resolve) => queue.push(resolve))
    } else running++
    try {
      return await task()
    } finally {
      // The place is handed on to the next one; only without a next one it becomes free.
      const next = queue.shift()
      if (next) next()
      else running--
    }
  }
}
