// Which topics a link carries, and what they are called on the other side. Pure.
import type { LinkTopic } from '../link-config.ts'
import { isReserved } from '../topic.ts'

export type LinkTopics = Readonly<{
  /** What to subscribe to, here and there. */
  local: readonly LinkFilter[]
  remote: readonly LinkFilter[]
  /** The name on the other side; null: the link does not carry it. */
  toRemote(topic: string): string | null
  toLocal(topic: string): string | null
  /** Something may come in that also goes out: only a peer that leaves a link's own messages out ends that. */
  isRound: boolean
}>

export type LinkFilter = Readonly<{ topic: string; qos: 0 | 1 | 2 }>

type Rule = Readonly<{ from: string; to: string; filter: readonly string[]; qos: 0 | 1 | 2 }>

/** The first topic that fits decides about the name. */
export function createLinkTopics(topics: readonly LinkTopic[]): LinkTopics {
  const out = topics.filter(({ direction }) => direction !== 'in').map((topic) => toRule(topic, 'out'))
  const into = topics.filter(({ direction }) => direction !== 'out').map((topic) => toRule(topic, 'in'))
  return {
    local: toFilters(out),
    remote: toFilters(into),
    toRemote: (topic) => rename(out, topic),
    toLocal: (topic) => rename(into, topic),
    isRound: out.length > 0 && into.length > 0,
  }
}

function toRule({ filter, qos = 1, localPrefix = '', remotePrefix = '' }: LinkTopic, direction: 'in' | 'out'): Rule {
  const [from, to] = direction === 'out' ? [localPrefix, remotePrefix] : [remotePrefix, localPrefix]
  return { from, to, filter: filter.split('/'), qos }
}

function toFilters(rules: readonly Rule[]): LinkFilter[] {
  const highest = new Map<string, 0 | 1 | 2>()
  for (const { from, filter, qos } of rules) {
    const topic = from + filter.join('/')
    if (qos >= (highest.get(topic) ?? 0)) highest.set(topic, qos)
  }
  return [...highest].map(([topic, qos]) => ({ topic, qos }))
}

function rename(rules: readonly Rule[], topic: string): string | null {
  for (const { from, to, filter } of rules) {
    if (!topic.startsWith(from)) continue
    const rest = topic.slice(from.length)
    if (!matches(filter, rest.split('/'))) continue
    const renamed = to + rest
    // What is chat on one side must not become a plain topic on the other, nor the other way round.
    if (renamed !== '' && !isReserved(renamed.split('/', 1)[0] ?? '')) return renamed
  }
  return null
}

/** MQTT 5 §4.7.1 */
function matches(filter: readonly string[], levels: readonly string[]): boolean {
  for (const [index, level] of filter.entries()) {
    if (level === '#') return true
    const found = levels[index]
    if (found === undefined || (level !== '+' && level !== found)) return false
  }
  return filter.length === levels.length
}
