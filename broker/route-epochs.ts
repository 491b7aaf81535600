// When the wildcard subscriptions changed that may concern a topic: told by first level, in bounded memory.

/** Levels that share a slot share their changes: a cached route is then made anew once too often, never too seldom. */
const slots = 4096

/** FNV-1a over the bytes. */
export function hashBytes(buffer: Buffer, start: number, end: number): number {
  let hash = 0x811c9dc5
  for (let i = start; i < end; i++) hash = Math.imul(hash ^ (buffer[i] as number), 0x01000193)
  return hash | 0
}

const slash = 0x2f

/** The slot of a topic's first level. */
export function slotOf(topic: Buffer): number {
  const end = topic.indexOf(slash)
  return hashBytes(topic, 0, end < 0 ? topic.length : end) & (slots - 1)
}

export type RouteEpochs = Readonly<{
  /** A subscription with this wildcard filter came, changed or went. */
  change(filter: string): void
  now(): number
  /** What was found at `epoch` for a topic of this slot still holds. Hot. */
  holds(slot: number, epoch: number): boolean
}>

export function createRouteEpochs(): RouteEpochs {
  // Filters that begin with a wildcard concern all topics.
  let all = 1
  let last = 1
  const bySlot = new Float64Array(slots)
  return {
    change(filter) {
      last++
      if (filter.startsWith('+') || filter.startsWith('#')) all = last
      else bySlot[slotOf(Buffer.from(filter))] = last
    },
    now: () => last,
    holds: (slot, epoch) => epoch >= all && epoch >= (bySlot[slot] as number),
  }
}
