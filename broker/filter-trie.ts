// A trie of filters (MQTT 5 §4.7), and what is subscribed with each.

type Node<Key, Value> = {
  children: Map<string, Node<Key, Value>> | null
  /** Of filters that end here, and of those that end in `#` below here. */
  here: Map<Key, Value> | null
  hash: Map<Key, Value> | null
}

export type FilterTrie<Key, Value> = Readonly<{
  /** Replaces what the key had there. */
  add(filter: string, key: Key, value: Value): void
  remove(filter: string, key: Key): void
  /** All whose filters match the topic; a key comes once for each filter. */
  match(name: string): [Key, Value][]
}>

const newNode = <Key, Value>(): Node<Key, Value> => ({ children: null, here: null, hash: null })

export function createFilterTrie<Key, Value>(): FilterTrie<Key, Value> {
  const root = newNode<Key, Value>()
  return {
    add(filter, key, value) {
      const levels = filter.split('/')
      const endsInHash = levels.at(-1) === '#'
      if (endsInHash) levels.pop()
      let node = root
      for (const level of levels) node = childOf(node, level)
      if (endsInHash) node.hash = (node.hash ?? new Map<Key, Value>()).set(key, value)
      else node.here = (node.here ?? new Map<Key, Value>()).set(key, value)
    },
    remove(filter, key) {
      removeFrom(root, filter.split('/'), 0, key)
    },
    match(name) {
      const found: [Key, Value][] = []
      // A wildcard in first place never matches a topic that starts with `$` [MQTT-4.7.2-1].
      collect(root, name.split('/'), 0, name.startsWith('$'), found)
      return found
    },
  }
}

function childOf<Key, Value>(node: Node<Key, Value>, level: string): Node<Key, Value> {
  node.children ??= new Map()
  const known = node.children.get(level)
  if (known) return known
  const child = newNode<Key, Value>()
  node.children.set(level, child)
  return child
}

/** Answers true when the node is empty and can be cut off. */
function removeFrom<Key, Value>(node: Node<Key, Value>, levels: readonly string[], at: number, key: Key): boolean {
  const level = levels[at]
  if (level === undefined) {
    node.here?.delete(key)
    if (node.here?.size === 0) node.here = null
  } else if (level === '#' && at === levels.length - 1) {
    node.hash?.delete(key)
    if (node.hash?.size === 0) node.hash = null
  } else {
    const child = node.children?.get(level)
    if (child && removeFrom(child, levels, at + 1, key)) node.children?.delete(level)
    if (node.children?.size === 0) node.children = null
  }
  return node.children === null && node.here === null && node.hash === null
}

function collect<Key, Value>(
  node: Node<Key, Value>,
  levels: readonly string[],
  at: number,
  noWildcard: boolean,
  found: [Key, Value][],
): void {
  // `a/#` matches `a` too [MQTT-4.7.1-2].
  if (node.hash && !noWildcard) for (const match of node.hash) found.push(match)
  const level = levels[at]
  if (level === undefined) {
    if (node.here) for (const match of node.here) found.push(match)
    return
  }
  const child = node.children?.get(level)
  if (child) collect(child, levels, at + 1, false, found)
  const plus = noWildcard ? undefined : node.children?.get('+')
  if (plus) collect(plus, levels, at + 1, false, found)
}
