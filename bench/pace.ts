// Sending at a rate, and waiting for what is under way.
import { setImmediate, setTimeout as sleep } from 'node:timers/promises'
import { isPinned } from './cpu.ts'

/**
 * Calls `send(count)` so that `perSecond` are due each second, for `seconds`. With a CPU of its own the generator spins
 * between the polls of its sockets: every message leaves at its own time and no wake-up adds to a latency.
 */
export async function pace(perSecond: number, seconds: number, send: (count: number) => void): Promise<void> {
  const total = Math.round(perSecond * seconds)
  const startedAt = performance.now()
  let sent = 0
  while (sent < total) {
    const due = Math.min(total, Math.floor(((performance.now() - startedAt) / 1000) * perSecond) + 1)
    if (due > sent) send(due - sent)
    sent = due
    await (isPinned ? setImmediate() : sleep(1))
  }
}

/** Waits until `isDone`, or until `progress` has stood still for `idleMs`: then false. */
export async function untilDone(isDone: () => boolean, progress: () => number, idleMs = 3000): Promise<boolean> {
  let last = progress()
  let movedAt = performance.now()
  while (!isDone()) {
    await sleep(2)
    const now = progress()
    if (now !== last) movedAt = performance.now()
    else if (performance.now() - movedAt > idleMs) return false
    last = now
  }
  return true
}
