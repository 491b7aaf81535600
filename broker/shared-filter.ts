// `$share/{name}/{filter}` (MQTT 5 §4.8.2). Pure.

export function isShared(filter: string): boolean {
  return filter.startsWith('$share/')
}

/** What the members of the shared subscription follow; any other filter is its own. */
export function followedFilter(filter: string): string {
  return isShared(filter) ? filter.slice(filter.indexOf('/', '$share/'.length) + 1) : filter
}
