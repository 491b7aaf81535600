// Hot path (bench: p2p, fan-out): topics interned by their bytes; no string is made for a topic already known.
import { hashBytes, slotOf } from './route-epochs.ts'
import type { Topic } from './routes.ts'
import { classifyTopic } from './topic.ts'

export type TopicTable = Readonly<{
  /** Finds or interns the topic at `start`..`end`; `check` throws when a new topic's bytes are not a valid name. */
  find(buffer: Buffer, start: number, end: number): Topic
  /** The topic if it is known, for invalidation. */
  known(name: string): Topic | null
  /** Finds or interns by name. The name is valid. */
  named(name: string): Topic
  /** Counts bytes that the cache holds for known topics (routes). */
  charge(bytes: number): void
  /** Raised when the table was emptied: topics of older generations are no longer told of changes. */
  generation(): number
}>

export type TopicTableOptions = Readonly<{
  domain: string
  maxTopics: number
  maxBytes: number
  check: (buffer: Buffer, start: number, end: number) => void
  /** Longer ones, or with more levels, are `tooLong`; absent: none are. */
  maxTopicBytes?: number
  maxLevels?: number
}>

const plain = { kind: 'plain' } as const
/** Nobody may publish to a topic of this kind. */
export const tooLong = { kind: 'misspelt' } as const
const slash = 0x2f
/** What one entry takes beside its name. */
const topicBytes = 300

export function sameBytes(a: Buffer, b: Buffer, start: number, end: number): boolean {
  if (a.length !== end - start) return false
  for (let i = 0; i < a.length; i++) if (a[i] !== b[start + i]) return false
  return true
}

/** At a limit the whole table is emptied: what is in use comes back at its next publish. */
export function createTopicTable(options: TopicTableOptions): TopicTable {
  const { domain, maxTopics, maxBytes, check } = options
  const { maxTopicBytes = Number.POSITIVE_INFINITY, maxLevels = Number.POSITIVE_INFINITY } = options
  let buckets = new Map<number, Topic[]>()
  let count = 0
  let bytesHeld = 0
  let generation = 1

  function lookup(hash: number, buffer: Buffer, start: number, end: number): Topic | null {
    const bucket = buckets.get(hash)
    if (bucket === undefined) return null
    for (const topic of bucket) if (sameBytes(topic.bytes, buffer, start, end)) return topic
    return null
  }

  function empty(): void {
    buckets = new Map()
    count = 0
    bytesHeld = 0
    generation++
  }

  function make(bytes: Buffer): Topic {
    const topic = makeTopic(bytes, domain, generation)
    const isTooLong = bytes.length > maxTopicBytes || countLevels(bytes) > maxLevels
    return isTooLong ? { ...topic, kind: tooLong } : topic
  }

  function add(hash: number, source: Buffer): Topic {
    if (count >= maxTopics || bytesHeld > maxBytes) empty()
    const topic = make(Buffer.from(source))
    bytesHeld += topicBytes + 3 * topic.bytes.length
    const bucket = buckets.get(hash)
    if (bucket) bucket.push(topic)
    else buckets.set(hash, [topic])
    count++
    return topic
  }

  return {
    find(buffer, start, end) {
      const hash = hashBytes(buffer, start, end)
      const known = lookup(hash, buffer, start, end)
      if (known !== null) return known
      check(buffer, start, end)
      return add(hash, buffer.subarray(start, end))
    },
    known(name) {
      const bytes = Buffer.from(name)
      return lookup(hashBytes(bytes, 0, bytes.length), bytes, 0, bytes.length)
    },
    named(name) {
      const bytes = Buffer.from(name)
      const hash = hashBytes(bytes, 0, bytes.length)
      return lookup(hash, bytes, 0, bytes.length) ?? add(hash, bytes)
    },
    charge(bytes) {
      bytesHeld += bytes
    },
    generation: () => generation,
  }
}

function countLevels(bytes: Buffer): number {
  let levels = 1
  for (const byte of bytes) if (byte === slash) levels++
  return levels
}

/** A topic that no table knows: for what is sent once and must not push out what is in use. */
export function looseTopic(name: string): Topic {
  const bytes = Buffer.from(name)
  return { name, bytes, kind: plain, generation: 0, slot: slotOf(bytes), route: null, routeEpoch: 0 }
}

function makeTopic(bytes: Buffer, domain: string, generation: number): Topic {
  const name = bytes.toString('utf8')
  const kind = classifyTopic(name, domain)
  return { name, bytes, kind, generation, slot: slotOf(bytes), route: null, routeEpoch: 0 }
}
