// Hot path (bench: p2p): which member of a shared subscription gets a message. MQTT 5 §4.8.2; decision 0015
import { createFilterTrie } from './filter-trie.ts'
import type { Limits } from './limits.ts'
import type { Counters } from './metrics.ts'
import type { Publication } from './publication.ts'
import type { Recipient, SharedGroup, SubscriptionOptions, Target } from './routes.ts'
import { followedFilter } from './shared-filter.ts'
import type { Qos } from './types.ts'

export type SharedLimits = Readonly<{
  limits: Pick<Limits, 'cleanQueueMessages' | 'cleanQueueBytes'>
  counters: Pick<Counters, 'queueDropped'>
}>

export type SharedSubscriptions = Readonly<{
  /** True: it has its first member. */
  add(recipient: Recipient, filter: string, options: SubscriptionOptions): boolean
  /** True: it has lost its last member. */
  remove(recipient: Recipient, filter: string): boolean
  match(topic: string): readonly SharedGroup[]
  group(filter: string): SharedGroup | undefined
  count(): number
}>

/** How good a member is for a message; less is better. */
const rank = { hasRoom: 0, queues: 1, online: 2, away: 3, none: 4 } as const
type Rank = (typeof rank)[keyof typeof rank]

const noGroups: readonly SharedGroup[] = []
const bytesOf = ({ start, end, properties, topic }: Publication) => end - start + properties.length + topic.name.length

/** The members of one `$share/{name}/{filter}`, and what waits for the first of them that has room. */
class Group implements SharedGroup {
  readonly filter: string
  private readonly members: Target[] = []
  /** Whose turn it is. */
  private next = 0
  /** Only when no member has a queue in the store. */
  private waiting: Publication[] = []
  private waitingBytes = 0
  private readonly deps: SharedLimits

  constructor(filter: string, deps: SharedLimits) {
    this.filter = filter
    this.deps = deps
  }

  get size(): number {
    return this.members.length
  }

  put(recipient: Recipient, { subscriptionId, ...options }: SubscriptionOptions): void {
    const target = {
      ...{ recipient, ...options, share: this.filter },
      subscriptionIds: subscriptionId > 0 ? [subscriptionId] : [],
    }
    const at = this.placeOf(recipient)
    if (at < 0) this.members.push(target)
    else this.members[at] = target
    recipient.joinShare(this)
    this.feed(recipient)
  }

  delete(recipient: Recipient): void {
    const at = this.placeOf(recipient)
    if (at < 0) return
    this.members.splice(at, 1)
    if (at < this.next) this.next--
    recipient.leaveShare(this)
    if (this.members.length === 0) this.deps.counters.queueDropped += this.takeWaiting().length
  }

  choose(publication: Publication): Target | null {
    const { best, at } = this.find(publication.qos, false)
    const target = this.members[at]
    if (target === undefined || best === rank.none) return null
    if (best !== rank.online || Math.min(publication.qos, target.qos) === 0) return target
    this.keepWaiting(publication.kept())
    return null
  }

  chooseKeeping(qos: 1 | 2): Target | null {
    const { best, at } = this.find(qos, true)
    return best === rank.none ? null : (this.members[at] ?? null)
  }

  feed(recipient: Recipient): void {
    if (this.waiting.length === 0) return
    const target = this.members[this.placeOf(recipient)]
    // A queue in the store is not filled from here: what waits is given anew when its other members are gone.
    if (recipient.persistent && target !== undefined && target.qos > 0) return
    let taken = 0
    while (target !== undefined && taken < this.waiting.length && recipient.hasRoomFor(2)) {
      const publication = this.waiting[taken++] as Publication
      this.waitingBytes -= bytesOf(publication)
      if (publication.expiresAt === 0 || publication.expiresAt > Date.now()) recipient.deliver(publication, target, 0)
    }
    this.waiting.splice(0, taken)
    if (this.waiting.length > 0) recipient.wantRoom()
  }

  takeWaiting(): readonly Publication[] {
    if (this.members.some(({ recipient }) => recipient.isOnline && !recipient.persistent)) return []
    const { waiting } = this
    this.waiting = []
    this.waitingBytes = 0
    return waiting
  }

  private placeOf(recipient: Recipient): number {
    return this.members.findIndex((member) => member.recipient === recipient)
  }

  /** In turn among the best ones. */
  private find(qos: Qos, mustKeep: boolean): Readonly<{ best: Rank; at: number }> {
    const { members, found } = this
    found.best = rank.none
    for (let i = 0; i < members.length && found.best !== rank.hasRoom; i++) {
      const at = (this.next + i) % members.length
      const of = rankOf(members[at] as Target, qos, mustKeep)
      if (of >= found.best) continue
      found.best = of
      found.at = at
    }
    if (found.best !== rank.none) this.next = (found.at + 1) % members.length
    return found
  }

  /** Reused so that no object is made per message. */
  private readonly found: { best: Rank; at: number } = { best: rank.none, at: 0 }

  private keepWaiting(publication: Publication): void {
    const { limits, counters } = this.deps
    this.waiting.push(publication)
    this.waitingBytes += bytesOf(publication)
    while (
      this.waiting.length > 1 &&
      (this.waiting.length > limits.cleanQueueMessages || this.waitingBytes > limits.cleanQueueBytes)
    ) {
      this.waitingBytes -= bytesOf(this.waiting.shift() as Publication)
      counters.queueDropped++
    }
    for (const { recipient } of this.members) recipient.wantRoom()
  }
}

function rankOf({ recipient, qos: granted }: Target, qos: Qos, mustKeep: boolean): Rank {
  const isKept = recipient.persistent && granted > 0 && qos > 0
  if (mustKeep && !isKept) return rank.none
  if (!recipient.isOnline) return isKept ? rank.away : rank.none
  if (recipient.hasRoomFor(Math.min(qos, granted) as Qos)) return rank.hasRoom
  return isKept ? rank.queues : rank.online
}

export function createSharedSubscriptions(deps: SharedLimits): SharedSubscriptions {
  const groups = new Map<string, Group>()
  const trie = createFilterTrie<Group, true>()

  return {
    add(recipient, filter, options) {
      const known = groups.get(filter)
      const group = known ?? new Group(filter, deps)
      group.put(recipient, options)
      if (known) return false
      groups.set(filter, group)
      trie.add(followedFilter(filter), group, true)
      return true
    },
    remove(recipient, filter) {
      const group = groups.get(filter)
      group?.delete(recipient)
      if (group === undefined || group.size > 0) return false
      groups.delete(filter)
      trie.remove(followedFilter(filter), group)
      return true
    },
    match: (topic) => (groups.size === 0 ? noGroups : trie.match(topic).map(([group]) => group)),
    group: (filter) => groups.get(filter),
    count: () => groups.size,
  }
}
