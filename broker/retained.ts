// Retained messages: all of them in memory, in a trie by level; the queue store keeps them.
import type { Retained } from './stores.ts'

type Node = { children: Map<string, Node> | null; retained: Retained | null }

export type RetainedMessages = Readonly<{
  /** Sets, or removes when the payload is empty [MQTT-3.3.1-6]. False: the cache is full and the message is not kept. */
  set(retained: Retained): boolean
  /** The messages that match now, read lazily: a value is the one at the time it is asked for. */
  match(filter: string): IterableIterator<Retained>
  /** Forgets what has expired. */
  prune(): void
  count(): number
  bytes(): number
}>

export type RetainedLimits = Readonly<{ retainedMessages: number; retainedBytes: number }>

const newNode = (): Node => ({ children: null, retained: null })
const sizeOf = (retained: Retained) =>
  200 + retained.topic.length + retained.payload.length + retained.properties.length

export function createRetained(limits: RetainedLimits, stored: readonly Retained[]): RetainedMessages {
  const root = newNode()
  let count = 0
  let bytes = 0

  function set(retained: Retained): boolean {
    const levels = retained.topic.split('/')
    if (retained.payload.length === 0) {
      remove(root, levels, 0)
      return true
    }
    const old = find(root, levels)
    const newCount = count + (old ? 0 : 1)
    const newBytes = bytes + sizeOf(retained) - (old ? sizeOf(old) : 0)
    if (newCount > limits.retainedMessages || newBytes > limits.retainedBytes) return false
    let node = root
    for (const level of levels) node = childOf(node, level)
    node.retained = retained
    count = newCount
    bytes = newBytes
    return true
  }

  /** Answers true when the node is empty and can be cut off. */
  function remove(node: Node, levels: readonly string[], at: number): boolean {
    const level = levels[at]
    if (level === undefined) {
      if (node.retained) {
        bytes -= sizeOf(node.retained)
        count--
      }
      node.retained = null
    } else {
      const child = node.children?.get(level)
      if (child && remove(child, levels, at + 1)) node.children?.delete(level)
      if (node.children?.size === 0) node.children = null
    }
    return node.children === null && node.retained === null
  }

  for (const retained of stored) set(retained)
  return {
    set,
    *match(filter) {
      for (const retained of walk(root, filter.split('/'), 0)) {
        if (retained.expiresAt === null || retained.expiresAt > Date.now()) yield retained
      }
    },
    prune() {
      const now = Date.now()
      const over = [...below(root, false)].filter(({ expiresAt }) => expiresAt !== null && expiresAt <= now)
      for (const { topic } of over) remove(root, topic.split('/'), 0)
    },
    count: () => count,
    bytes: () => bytes,
  }
}

function find(root: Node, levels: readonly string[]): Retained | null {
  let node: Node | undefined = root
  for (const level of levels) node = node?.children?.get(level)
  return node?.retained ?? null
}

function childOf(node: Node, level: string): Node {
  node.children ??= new Map()
  const known = node.children.get(level)
  if (known) return known
  const child = newNode()
  node.children.set(level, child)
  return child
}

function* walk(node: Node, levels: readonly string[], at: number): IterableIterator<Retained> {
  const level = levels[at]
  if (level === undefined) {
    if (node.retained) yield node.retained
  } else if (level === '#') {
    yield* below(node, at === 0)
  } else if (level === '+') {
    for (const [name, child] of node.children ?? []) {
      if (at > 0 || !name.startsWith('$')) yield* walk(child, levels, at + 1)
    }
  } else {
    const child = node.children?.get(level)
    if (child) yield* walk(child, levels, at + 1)
  }
}

/** [MQTT-4.7.2-1] a leading `#` does not match topics that start with `$`. */
function* below(node: Node, isRoot: boolean): IterableIterator<Retained> {
  if (node.retained) yield node.retained
  for (const [name, child] of node.children ?? []) if (!isRoot || !name.startsWith('$')) yield* below(child, false)
}
