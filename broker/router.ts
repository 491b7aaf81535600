// Subscriptions of plain topics: a trie of filters, and for each known topic its cached Route.
import { createFilterTrie } from './filter-trie.ts'
import { createRouteEpochs } from './route-epochs.ts'
import type { Recipient, Route, SharedGroup, SubscriptionOptions, Target, Topic } from './routes.ts'
import { followedFilter, isShared } from './shared-filter.ts'
import { createSharedSubscriptions, type SharedLimits } from './shared-subscriptions.ts'
import type { TopicTable } from './topic-table.ts'
import type { Qos } from './types.ts'

export type Router = Readonly<{
  add(recipient: Recipient, filter: string, options: SubscriptionOptions): void
  remove(recipient: Recipient, filter: string): void
  /** The route of a topic, from its cache when nothing has changed. Hot. */
  route(topic: Topic): Route
  /** The members of `$share/{name}/{filter}`; undefined: there are none. */
  group(filter: string): SharedGroup | undefined
  /** Shared subscriptions that have members. */
  groups(): number
}>

/** What one target of a cached route takes. */
const targetBytes = 100

/** A filter is exact when it has no wildcard: its changes concern its own topic only. */
const isExact = (filter: string) => !filter.includes('+') && !filter.includes('#')

export function createRouter(topics: TopicTable, limits: SharedLimits): Router {
  const trie = createFilterTrie<Recipient, SubscriptionOptions>()
  const shared = createSharedSubscriptions(limits)
  // Exact changes clear their own topic; wildcard changes raise the epoch of their first level.
  const epochs = createRouteEpochs()

  function invalidate(filter: string): void {
    if (!isExact(filter)) {
      epochs.change(filter)
      return
    }
    const topic = topics.known(filter)
    if (topic) cache(topic, null)
  }

  function cache(topic: Topic, route: Route | null): void {
    const more = sizeOf(route) - sizeOf(topic.route)
    if (topic.generation === topics.generation()) topics.charge(more * targetBytes)
    topic.route = route
    topic.routeEpoch = epochs.now()
  }

  return {
    add(recipient, filter, options) {
      if (!isShared(filter)) trie.add(filter, recipient, options)
      // A route has the group, whoever its members are.
      else if (!shared.add(recipient, filter, options)) return
      invalidate(followedFilter(filter))
    },
    remove(recipient, filter) {
      if (!isShared(filter)) trie.remove(filter, recipient)
      else if (!shared.remove(recipient, filter)) return
      invalidate(followedFilter(filter))
    },
    route(topic) {
      const cached = topic.route
      if (cached !== null && epochs.holds(topic.slot, topic.routeEpoch)) return cached
      const route = toRoute(trie.match(topic.name), shared.match(topic.name))
      cache(topic, route)
      return route
    },
    group: shared.group,
    groups: shared.count,
  }
}

/** Null: none. */
const sizeOf = (route: Route | null) => (route === null ? 0 : route.targets.length + route.shared.length)

function toRoute(matches: readonly [Recipient, SubscriptionOptions][], shared: readonly SharedGroup[]): Route {
  const byRecipient = new Map<Recipient, Target>()
  for (const [recipient, options] of matches) {
    const other = byRecipient.get(recipient)
    byRecipient.set(recipient, other ? merge(other, options) : toTarget(recipient, options))
  }
  const targets = [...byRecipient.values()]
  return { targets, queued: targets.filter((target) => target.qos > 0 && target.recipient.persistent), shared }
}

function toTarget(recipient: Recipient, options: SubscriptionOptions): Target {
  const { subscriptionId, ...rest } = options
  return { recipient, ...rest, subscriptionIds: subscriptionId > 0 ? [subscriptionId] : [], share: '' }
}

/** [MQTT-3.3.4-2] highest QoS of the overlapping subscriptions; [MQTT-3.3.4-4] all their identifiers. */
function merge(target: Target, options: SubscriptionOptions): Target {
  return {
    recipient: target.recipient,
    qos: Math.max(target.qos, options.qos) as Qos,
    noLocal: target.noLocal && options.noLocal,
    retainAsPublished: target.retainAsPublished || options.retainAsPublished,
    subscriptionIds:
      options.subscriptionId > 0 ? [...target.subscriptionIds, options.subscriptionId] : target.subscriptionIds,
    share: '',
  }
}
