// Names of topics, doors and streams (DESIGN §2), and MQTT's filters. Pure.
import { toAccountName } from './account-name.ts'
import type { View } from './types.ts'

/** What a topic name is for a publisher. */
export type TopicKind =
  | Readonly<{ kind: 'plain' }>
  | Readonly<{ kind: 'door'; to: string }>
  /** Where a device says how it is. */
  | Readonly<{ kind: 'presence'; of: string }>
  /** Only the broker may publish here, or nobody. */
  | Readonly<{ kind: 'closed' }>
  /** Below `u/`, with a name that is not in its one spelling. */
  | Readonly<{ kind: 'misspelt' }>

/** What a filter asks for. `reason` is MQTT 5's. */
export type FilterKind =
  | Readonly<{ kind: 'plain' }>
  | Readonly<{ kind: 'streams'; views: readonly View[] }>
  /** Null: of every contact. Whether a named one may be seen is the roster's question. */
  | Readonly<{ kind: 'presence'; of: string | null }>
  | Readonly<{ kind: 'refused'; reason: 0x87 | 0x8f | 0x97 | 0x9e }>

const plain = { kind: 'plain' } as const
const closed = { kind: 'closed' } as const
const views: readonly View[] = ['msg', 'sent', 'text', 'evt', 'err']
/** `u/{me}/#` and `u/{me}/+`: never `text`, which repeats `msg`. */
const allViews: readonly View[] = ['msg', 'sent', 'evt', 'err']

/** Chat, `cb/` and `$…` are no plain topics (DESIGN §2). */
export function isReserved(firstLevel: string): boolean {
  return firstLevel === 'u' || firstLevel === 'g' || firstLevel === 'cb' || firstLevel.startsWith('$')
}

/** The topic is valid already (no wildcards, not empty). */
export function classifyTopic(topic: string, domain: string): TopicKind {
  const levels = topic.split('/')
  const [first = '', name = '', leaf] = levels
  if (!isReserved(first)) return plain
  const isPresence = levels.length === 4 && leaf === 'presence' && levels[3] === 'set'
  if (first !== 'u' || (levels.length !== 3 && !isPresence)) return closed
  const of = nameOfLevel(name, domain)
  if (of === null) return { kind: 'misspelt' }
  if (isPresence) return { kind: 'presence', of }
  return leaf === 'in' ? { kind: 'door', to: of } : closed
}

/** The filter is valid already (wildcards in their places). `me` is the subscriber's canonical name, '' for anonymous. */
export function classifyFilter(filter: string, me: string, domain: string): FilterKind {
  const levels = filter.split('/')
  const [first = '', name = '', leaf = ''] = levels
  if (first === '$share') return { kind: 'refused', reason: 0x9e }
  if (!isReserved(first)) return plain
  if (me !== '' && filter === 'u/+/presence') return { kind: 'presence', of: null }
  if (first !== 'u' || name === '+' || name === '#' || levels.length < 3) return { kind: 'refused', reason: 0x87 }
  const owner = nameOfLevel(name, domain)
  if (owner === null) return { kind: 'refused', reason: 0x8f }
  if (me !== '' && levels.length === 3 && leaf === 'presence') return { kind: 'presence', of: owner }
  if (owner !== me || levels.length > 3) return { kind: 'refused', reason: 0x87 }
  if (leaf === '#' || leaf === '+') return { kind: 'streams', views: allViews }
  const view = views.find((known) => known === leaf)
  return view ? { kind: 'streams', views: [view] } : { kind: 'refused', reason: 0x87 }
}

/** Null: not the one spelling of a canonical name. */
function nameOfLevel(level: string, domain: string): string | null {
  if (level.includes('@')) return null
  const name = level.replace(/%(25|2F|2B|23|24)/g, (code) => String.fromCharCode(Number.parseInt(code.slice(1), 16)))
  return toAccountName(name, domain) === name && toLevel(name) === level ? name : null
}

/** The topic level of an account: percent-encoded `% / + #` and a leading `$`. */
export function toLevel(name: string): string {
  return name.replace(/^\$|[%/+#]/g, (char) => `%${char.charCodeAt(0).toString(16).toUpperCase()}`)
}

/** The topic of an account's presence. */
export function presenceTopic(name: string): string {
  return `u/${toLevel(name)}/presence`
}

/** The topic of one stream of an account. */
export function streamTopic(name: string, view: View): string {
  return `u/${toLevel(name)}/${view}`
}
