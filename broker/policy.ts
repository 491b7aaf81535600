// Who may publish and subscribe on plain topics and streams. Doors are admission's question.
import type { Topic } from './routes.ts'
import { followedFilter, isShared } from './shared-filter.ts'
import { classifyFilter, type FilterKind, isReserved } from './topic.ts'
import { mayPublishBy, maySubscribeBy, type ReadyRule, toReadyRules } from './topic-rules.ts'
import type { Actor, TopicRule } from './types.ts'

/** The rights of one actor: ask anew whenever `epoch` has changed. */
export interface Rights {
  readonly actor: Actor
  /** Raised when the rules or the rights of the account change. */
  readonly epoch: number
  mayPublish(topic: Topic): boolean
  /** What a valid filter gives. */
  decideFilter(filter: string): FilterKind
  /** Whether what is kept for it, from a time with other rules, may still be sent to it. */
  mayReceive(topic: string): boolean
}

export type Policy = Readonly<{
  rightsOf(actor: Actor): Rights
  /** Other rules from now on; subscriptions are for the caller to look at again. */
  replace(rules: readonly TopicRule[]): void
}>

type State = { rules: readonly ReadyRule[]; generation: number; readonly domain: string }

export type PolicyOptions = Readonly<{ acl: readonly TopicRule[]; domain: string }>

export function createPolicy({ acl, domain }: PolicyOptions): Policy {
  const state: State = { rules: toReadyRules(acl, domain), generation: 0, domain }
  return {
    rightsOf: (actor) => new ActorRights(actor, state),
    replace(rules) {
      state.rules = toReadyRules(rules, domain)
      state.generation++
    },
  }
}

const plain: FilterKind = { kind: 'plain' }
const refused: FilterKind = { kind: 'refused', reason: 0x87 }
/** Streams are not shared (DESIGN §2). */
const notShareable: FilterKind = { kind: 'refused', reason: 0x9e }
/** Decisions that are kept of one actor; at the limit all are forgotten. */
const maxDecided = 64

/** Only the broker publishes there, only administrators read it (DESIGN §2). */
function isSys(filter: string): boolean {
  return filter === '$SYS' || filter.startsWith('$SYS/')
}

class ActorRights implements Rights {
  readonly actor: Actor
  private readonly state: State
  private readonly tokenRules: readonly ReadyRule[] | null
  /** By topic, as of the epoch `decidedIn`. */
  private decided: Map<string, boolean> | null = null
  private decidedIn = -1

  constructor(actor: Actor, state: State) {
    this.actor = actor
    this.state = state
    this.tokenRules = actor.tokenRules === undefined ? null : toReadyRules(actor.tokenRules, state.domain)
  }

  /** Both only grow. */
  get epoch(): number {
    return this.actor.principal.epoch + this.state.generation
  }

  mayPublish(topic: Topic): boolean {
    if (topic.kind.kind !== 'plain') return false
    if (this.state.rules.length === 0 && this.tokenRules === null) return this.byDefault
    return this.known(topic.name) ?? this.keep(topic.name, this.judge(mayPublishBy, topic.name))
  }

  decideFilter(filter: string): FilterKind {
    const { principal } = this.actor
    if (isShared(filter)) return this.decideShared(followedFilter(filter))
    if (isSys(filter)) return this.maySeeSys(filter) ? plain : refused
    const kind = classifyFilter(filter, principal.name, this.state.domain)
    return kind.kind === 'plain' && !this.judge(maySubscribeBy, filter) ? refused : kind
  }

  private decideShared(followed: string): FilterKind {
    const [first = ''] = followed.split('/', 1)
    return isReserved(first) && !isSys(followed) ? notShareable : this.decideFilter(followed)
  }

  mayReceive(topic: string): boolean {
    return this.judge(maySubscribeBy, topic)
  }

  private maySeeSys(filter: string): boolean {
    const { actor, tokenRules } = this
    return (
      actor.principal.role === 'admin' && (tokenRules === null || maySubscribeBy(tokenRules, actor, filter) !== false)
    )
  }

  private judge(by: typeof mayPublishBy, topicOrFilter: string): boolean {
    const { actor, state, tokenRules } = this
    if (tokenRules !== null && by(tokenRules, actor, topicOrFilter) === false) return false
    return by(state.rules, actor, topicOrFilter) ?? this.byDefault
  }

  /** Accounts made by an admin may use all plain topics, others none (DESIGN §3). */
  private get byDefault(): boolean {
    return this.actor.principal.plainTopics === 'all'
  }

  private known(topic: string): boolean | undefined {
    return this.decidedIn === this.epoch ? this.decided?.get(topic) : undefined
  }

  private keep(topic: string, isAllowed: boolean): boolean {
    if (this.decidedIn !== this.epoch || this.decided === null || this.decided.size >= maxDecided) {
      this.decided = new Map()
      this.decidedIn = this.epoch
    }
    this.decided.set(topic, isAllowed)
    return isAllowed
  }
}
