/** ` (did you mean …?)` for the nearest of the known words; empty when none is near. All words begin with `prefix`. */
export function suggestion(wordWithPrefix: string, known: readonly string[], prefix = ''): string {
  const word = wordWithPrefix.slice(prefix.length)
  const ranked = known.map((name) => ({
    name,
    distance: editDistance(word.toLowerCase(), name.slice(prefix.length).toLowerCase()),
  }))
  const best = ranked.sort((a, b) => a.distance - b.distance)[0]
  const near = best !== undefined && best.distance <= Math.max(2, Math.floor(word.length / 3))
  return near ? ` (did you mean ${best.name}?)` : ''
}

/** Levenshtein: how many characters to insert, remove or change. */
function editDistance(from: string, to: string): number {
  let row = Array.from({ length: to.length + 1 }, (_, index) => index)
  for (let i = 1; i <= from.length; i++) {
    const next = [i]
    for (let j = 1; j <= to.length; j++) {
      const change = (row[j - 1] ?? 0) + (from[i - 1] === to[j - 1] ? 0 : 1)
      next.push(Math.min(change, (row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1))
    }
    row = next
  }
  return row[to.length] ?? 0
}
