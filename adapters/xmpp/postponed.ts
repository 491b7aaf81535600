// What one session is to be told of its account and its contacts, and has no room for yet.
import type { Element } from './element.ts'

/** A roster and its devices fit; they are kept as names, not as stanzas. */
const maxWaiting = 10_000

type Deps = Readonly<{
  hasRoom(): boolean
  send(element: Element): void
}>

export interface Postponed {
  /** Behind all that waits. What waits under the same key is out of date. False: too many wait. */
  tell(key: string, element: Element, later: () => Element): boolean
  /** There may be room again. */
  send(): void
}

export function createPostponed({ hasRoom, send }: Deps): Postponed {
  const waiting = new Map<string, () => Element>()

  function sendWaiting(): void {
    for (const [key, make] of waiting) {
      if (!hasRoom()) return
      waiting.delete(key)
      send(make())
    }
  }

  return {
    tell(key, element, later) {
      waiting.delete(key)
      sendWaiting()
      if (waiting.size === 0 && hasRoom()) send(element)
      else waiting.set(key, later)
      return waiting.size <= maxWaiting
    },
    send: sendWaiting,
  }
}
