// Rules of plain topics: the first one that says something decides. Decision 0011
import { toAccountName } from './account-name.ts'
import { covers, intersect, type Levels, toLevels } from './topic-filter.ts'
import type { Actor, TopicRule } from './types.ts'

type Pattern = Readonly<{ levels: Levels; hasPlaceholder: boolean }>

/** A rule made ready for being asked often. */
export type ReadyRule = Readonly<{
  allows: boolean
  publish: boolean
  subscribe: boolean
  who: Pick<TopicRule, 'user' | 'role' | 'client' | 'anonymous'>
  patterns: readonly Pattern[]
  /** Judged as they are written, filter or topic, without wildcards. */
  exact: readonly string[]
}>

export function toReadyRules(rules: readonly TopicRule[], domain: string): readonly ReadyRule[] {
  return rules.map(({ allow, deny, topics, exact = [], user, ...others }) => {
    const action = allow ?? deny
    return {
      allows: allow !== undefined,
      publish: action !== 'subscribe',
      subscribe: action !== 'publish',
      who: { ...others, ...(user && { user: user.map((name) => toAccountName(name, domain) ?? name) }) },
      patterns: topics.map((topic) => ({ levels: toLevels(topic), hasPlaceholder: /%[uc]/.test(topic) })),
      exact,
    }
  })
}

/** Null: no rule says anything about publishing to this topic. */
export function mayPublishBy(rules: readonly ReadyRule[], actor: Actor, topic: string): boolean | null {
  const levels = topic.split('/')
  for (const rule of rules) {
    if (!rule.publish || !isFor(rule, actor)) continue
    const fits = rule.patterns.some((pattern) => {
      const filled = fill(pattern, actor, rule.allows)
      return filled !== null && intersect(filled, levels) !== null
    })
    if (fits || rule.exact.includes(topic)) return rule.allows
  }
  return null
}

/**
 * Whether all topics that the filter matches may be followed: a rule that allows must cover the filter, one that denies
 * must have nothing in common with it beyond what a rule before has allowed. Null: no rule denies any of it or allows all.
 */
export function maySubscribeBy(rules: readonly ReadyRule[], actor: Actor, filter: string): boolean | null {
  const wanted = toLevels(filter)
  const allowed: Levels[] = []
  for (const rule of rules) {
    if (!rule.subscribe || !isFor(rule, actor)) continue
    if (rule.exact.includes(filter)) return rule.allows
    for (const pattern of rule.patterns) {
      const filled = fill(pattern, actor, rule.allows)
      const common = filled && intersect(filled, wanted)
      if (filled === null || common === null) continue
      if (!rule.allows && !allowed.some((before) => covers(before, common))) return false
      if (rule.allows && covers(filled, wanted)) return true
      if (rule.allows) allowed.push(filled)
    }
  }
  return null
}

/** All that a rule says of its subject must be so. */
function isFor({ who: { user, role, client, anonymous } }: ReadyRule, { principal, clientId }: Actor): boolean {
  const isAnonymous = principal.account === 0
  if (anonymous !== undefined && anonymous !== isAnonymous) return false
  if (user !== undefined && (isAnonymous || !user.includes(principal.name))) return false
  if (role !== undefined && (isAnonymous || !role.includes(principal.role))) return false
  return client === undefined || (clientId !== null && client.some((pattern) => matchesGlob(pattern, clientId)))
}

/**
 * The pattern for this actor. A name that is missing, or that would be more than a part of one level, allows nothing
 * (null) and denies every such level.
 */
function fill({ levels, hasPlaceholder }: Pattern, { principal, clientId }: Actor, allows: boolean): Levels | null {
  if (!hasPlaceholder) return levels
  const filled: string[] = []
  for (const level of levels) {
    let isSafe = true
    const text = level.replace(/%[uc]/g, (placeholder) => {
      const name = (placeholder === '%u' ? principal.name : clientId) ?? ''
      if (name === '' || /[/+#]/.test(name)) isSafe = false
      return name
    })
    if (!isSafe && allows) return null
    filled.push(isSafe ? text : '+')
  }
  return filled
}

/** `*` stands for any characters. Takes time in proportion to the text, whatever the pattern. */
export function matchesGlob(pattern: string, text: string): boolean {
  const [first = '', ...parts] = pattern.split('*')
  const last = parts.pop()
  if (last === undefined) return text === first
  if (!text.startsWith(first) || text.length < first.length + last.length || !text.endsWith(last)) return false
  const end = text.length - last.length
  let at = first.length
  for (const part of parts) {
    const found = text.indexOf(part, at)
    if (found < 0 || found + part.length > end) return false
    at = found + part.length
  }
  return true
}
