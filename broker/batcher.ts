// Collects what arrives while the last batch is being committed, and commits it as the next batch.
import { setTimeout as pause } from 'node:timers/promises'
import type { Logger } from './log.ts'
import { TransientStoreError } from './stores.ts'

export type BatcherOptions<T> = Readonly<{
  name: string
  /**
   * Commits one batch and settles its items. Called again with the same batch after a TransientStoreError, so it must be
   * safe to repeat when the outcome of the last try is unknown.
   */
  commit: (batch: readonly T[]) => Promise<void>
  /** The batch can never be committed: settles its items with the fault. */
  fail: (batch: readonly T[], fault: unknown) => void
  maxItems: number
  maxBytes: number
  logger: Logger
}>

/** One batch is in flight at a time, so commits keep the order of arrival. */
export type Batcher<T> = Readonly<{
  add(item: T, bytes: number): void
  /** Bytes added and not committed. */
  waitingBytes(): number
  /** Age of the oldest item that is not committed; 0 when there is none. */
  waitingMs(): number
  /** Resolves when all that was added before is settled. */
  drained(): Promise<void>
  /** Gives up what is being retried; its items stay unsettled. */
  abandon(): void
}>

type Waiting<T> = { item: T; bytes: number; at: number }

export function createBatcher<T>(options: BatcherOptions<T>): Batcher<T> {
  let waiting: Waiting<T>[] = []
  let running: readonly Waiting<T>[] = []
  let bytes = 0
  let scheduled = false
  let abandoned = false
  const idle: (() => void)[] = []

  function schedule(): void {
    if (scheduled || running.length > 0 || waiting.length === 0) return
    scheduled = true
    // After the loop's turn, so that one turn's arrivals share a batch.
    setImmediate(() => {
      scheduled = false
      void run()
    })
  }

  function takeBatch(): readonly Waiting<T>[] {
    let size = 0
    let count = 0
    for (const next of waiting) {
      if (count > 0 && (count >= options.maxItems || size + next.bytes > options.maxBytes)) break
      size += next.bytes
      count++
    }
    const batch = waiting.slice(0, count)
    waiting = waiting.slice(count)
    return batch
  }

  async function run(): Promise<void> {
    running = takeBatch()
    const items = running.map((entry) => entry.item)
    try {
      await commitWithRetries(items)
    } catch (fault) {
      if (abandoned) return
      options.logger.error({ err: fault, batch: options.name }, 'a batch could not be stored')
      options.fail(items, fault)
    }
    if (abandoned) return
    for (const entry of running) bytes -= entry.bytes
    running = []
    if (waiting.length > 0) schedule()
    else for (const resolve of idle.splice(0)) resolve()
  }

  async function commitWithRetries(items: readonly T[]): Promise<void> {
    for (let delayMs = 20; ; delayMs = Math.min(delayMs * 2, 1000)) {
      try {
        await options.commit(items)
        return
      } catch (fault) {
        if (!(fault instanceof TransientStoreError)) throw fault
        if (delayMs === 20) options.logger.warn({ err: fault, batch: options.name }, 'the store is away; trying again')
      }
      if (abandoned) return
      await pause(delayMs, undefined, { ref: false })
    }
  }

  return {
    add(item, size) {
      waiting.push({ item, bytes: size, at: Date.now() })
      bytes += size
      schedule()
    },
    waitingBytes: () => bytes,
    waitingMs() {
      const oldest = running[0] ?? waiting[0]
      return oldest ? Date.now() - oldest.at : 0
    },
    drained: () =>
      running.length + waiting.length === 0 ? Promise.resolve() : new Promise((resolve) => idle.push(resolve)),
    abandon() {
      abandoned = true
      for (const resolve of idle.splice(0)) resolve()
    },
  }
}
