// Who may publish and subscribe on plain topics and streams. Doors are admission's question.
import type { Topic } from './routes.ts'
import { classifyFilter, type FilterKind } from './topic.ts'
import type { Principal } from './types.ts'

/** By default accounts made by an admin may use all plain topics, others none (DESIGN §3). */
export function mayPublishPlain(principal: Principal, topic: Topic): boolean {
  return topic.kind.kind === 'plain' && principal.plainTopics === 'all'
}

/** What a valid filter gives this principal. */
export function decideFilter(principal: Principal, filter: string, domain: string): FilterKind {
  const kind = classifyFilter(filter, principal.name, domain)
  return kind.kind === 'plain' && principal.plainTopics !== 'all' ? { kind: 'refused', reason: 0x87 } : kind
}
