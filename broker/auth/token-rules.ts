// The claim `acl` of a token, in both of EMQX's forms: what it says of plain topics. Decision 0011
// https://docs.emqx.com/en/emqx/latest/access-control/authn/acl.html
import { z } from 'zod'
import { isTopicFilter } from '../mqtt/codec/topic-name.ts'
import type { TopicAction, TopicRule } from '../types.ts'

const literally = 'eq '

const topic = z.string().refine((written) => written.startsWith(literally) || isTopicFilter(written))
const topics = z.union([topic.transform((one) => [one]), z.array(topic)])

/** Lists of what is allowed; all else is denied. */
const lists = z.strictObject({
  pub: topics.exactOptional(),
  sub: topics.exactOptional(),
  all: topics.exactOptional(),
})

/** The first rule that fits decides; without one the token says nothing. */
const rules = z.array(
  z.looseObject({
    permission: z.enum(['allow', 'deny']),
    action: z.enum(['publish', 'subscribe', 'all']),
    topic: topics.exactOptional(),
    topics: topics.exactOptional(),
  }),
)

const known = ['permission', 'action', 'topic', 'topics']

/** Null: it is not to be understood, and nobody should log in with it. */
export function readTokenRules(claim: unknown): readonly TopicRule[] | null {
  const asLists = lists.safeParse(claim)
  if (asLists.success) {
    const { pub = [], sub = [], all = [] } = asLists.data
    return [toRule('allow', 'publish', pub), toRule('allow', 'subscribe', sub), toRule('allow', 'both', all), denyAll]
  }
  const asRules = rules.safeParse(claim)
  if (!asRules.success) return null
  return asRules.data
    .filter((rule) => rule.permission === 'deny' || !isConditional(rule))
    .map(({ permission, action, topic: one = [], topics: more = [] }) =>
      toRule(permission, action === 'all' ? 'both' : action, [...one, ...more]),
    )
}

const denyAll: TopicRule = { deny: 'both', topics: ['#'] }

/** QoS, retain, addresses…: a condition that is not looked at must not let anybody pass. */
function isConditional(rule: Readonly<Record<string, unknown>>): boolean {
  return Object.keys(rule).some((key) => !known.includes(key))
}

function toRule(permission: 'allow' | 'deny', action: TopicAction, written: readonly string[]): TopicRule {
  const isLiteral = (one: string): boolean => one.startsWith(literally)
  return {
    [permission]: action,
    topics: written.filter((one) => !isLiteral(one)).map(toPlaceholders),
    exact: written.filter(isLiteral).map((one) => one.slice(literally.length)),
  }
}

function toPlaceholders(written: string): string {
  return written.replace(/\$\{username\}/g, '%u').replace(/\$\{clientid\}/g, '%c')
}
