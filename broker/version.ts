import { readFileSync } from 'node:fs'

/** Of package.json, which lies one folder up from the sources and two from the build. */
export function readVersion(): string {
  for (const place of ['../package.json', '../../package.json']) {
    try {
      const { name, version } = JSON.parse(readFileSync(new URL(place, import.meta.url), 'utf8')) as {
        name?: string
        version?: string
      }
      if (name === 'clearbox' && version !== undefined) return version
    } catch {
      // Not there: the other place has it.
    }
  }
  return 'unknown'
}
