// What filters match, and what two of them match together (MQTT 5 §4.7). Pure. Levels are the parts between `/`.

export type Levels = readonly string[]

/** `+/#` matches what `#` does. */
export function toLevels(filter: string): Levels {
  return filter === '+/#' ? ['#'] : filter.split('/')
}

/**
 * The filter of the topics that both match; null: there are none. A topic is a filter that matches itself. What `$` at the
 * beginning means to wildcards is the caller's question.
 */
export function intersect(a: Levels, b: Levels): Levels | null {
  const both: string[] = []
  for (let at = 0; ; at++) {
    const [x, y] = [a[at], b[at]]
    if (x === '#') return [...both, ...b.slice(at)] // [MQTT-4.7.1-2] also of no level
    if (y === '#') return [...both, ...a.slice(at)]
    if (x === undefined || y === undefined) return x === y ? both : null
    if (x !== y && x !== '+' && y !== '+') return null
    both.push(x === '+' ? y : x)
  }
}

/** Everything that `part` matches is matched by `whole`. */
export function covers(whole: Levels, part: Levels): boolean {
  const both = intersect(whole, part)
  return both !== null && both.length === part.length && both.every((level, at) => level === part[at])
}
