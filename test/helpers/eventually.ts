import { setTimeout as pause } from 'node:timers/promises'

/** Repeats `probe` until it neither throws nor answers false; its last fault after `timeoutMs`. */
export async function eventually<T>(probe: () => T | Promise<T>, timeoutMs = 10_000): Promise<T> {
  const deadline = Date.now() + timeoutMs
  for (;;) {
    try {
      const value = await probe()
      if (value !== false) return value
      if (Date.now() > deadline) throw new Error('still false')
    } catch (fault) {
      if (Date.now() > deadline) throw fault
    }
    await pause(10)
  }
}
