// Subscriptions of plain topics: a trie of filters, and for each known topic its cached Route.
import { createRouteEpochs } from './route-epochs.ts'
import type { Recipient, Route, SubscriptionOptions, Target, Topic } from './routes.ts'
import type { TopicTable } from './topic-table.ts'
import type { Qos } from './types.ts'

type Node = {
  children: Map<string, Node> | null
  /** Subscriptions whose filter ends here, and those that end in `#` below here. */
  here: Map<Recipient, SubscriptionOptions> | null
  hash: Map<Recipient, SubscriptionOptions> | null
}

export type Router = Readonly<{
  add(recipient: Recipient, filter: string, options: SubscriptionOptions): void
  remove(recipient: Recipient, filter: string): void
  /** The route of a topic, from its cache when nothing has changed. Hot. */
  route(topic: Topic): Route
}>

/** What one target of a cached route takes. */
const targetBytes = 100

const newNode = (): Node => ({ children: null, here: null, hash: null })

/** A filter is exact when it has no wildcard: its changes concern its own topic only. */
const isExact = (filter: string) => !filter.includes('+') && !filter.includes('#')

export function createRouter(topics: TopicTable): Router {
  const root = newNode()
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
    const more = (route?.targets.length ?? 0) - (topic.route?.targets.length ?? 0)
    if (topic.generation === topics.generation()) topics.charge(more * targetBytes)
    topic.route = route
    topic.routeEpoch = epochs.now()
  }

  return {
    add(recipient, filter, options) {
      const levels = filter.split('/')
      const endsInHash = levels.at(-1) === '#'
      if (endsInHash) levels.pop()
      let node = root
      for (const level of levels) node = childOf(node, level)
      if (endsInHash) node.hash = (node.hash ?? new Map()).set(recipient, options)
      else node.here = (node.here ?? new Map()).set(recipient, options)
      invalidate(filter)
    },
    remove(recipient, filter) {
      removeFrom(root, filter.split('/'), 0, recipient)
      invalidate(filter)
    },
    route(topic) {
      const cached = topic.route
      if (cached !== null && epochs.holds(topic.slot, topic.routeEpoch)) return cached
      const route = toRoute(match(root, topic.name))
      cache(topic, route)
      return route
    },
  }
}

function childOf(node: Node, level: string): Node {
  node.children ??= new Map()
  const known = node.children.get(level)
  if (known) return known
  const child = newNode()
  node.children.set(level, child)
  return child
}

/** Answers true when the node is empty and can be cut off. */
function removeFrom(node: Node, levels: readonly string[], at: number, recipient: Recipient): boolean {
  const level = levels[at]
  if (level === undefined) {
    node.here?.delete(recipient)
    if (node.here?.size === 0) node.here = null
  } else if (level === '#' && at === levels.length - 1) {
    node.hash?.delete(recipient)
    if (node.hash?.size === 0) node.hash = null
  } else {
    const child = node.children?.get(level)
    if (child && removeFrom(child, levels, at + 1, recipient)) node.children?.delete(level)
    if (node.children?.size === 0) node.children = null
  }
  return node.children === null && node.here === null && node.hash === null
}

type Matches = [Recipient, SubscriptionOptions][]

function match(root: Node, name: string): Matches {
  const levels = name.split('/')
  const found: Matches = []
  // A wildcard in first place never matches a topic that starts with `$` [MQTT-4.7.2-1].
  collect(root, levels, 0, name.startsWith('$'), found)
  return found
}

function collect(node: Node, levels: readonly string[], at: number, noWildcard: boolean, found: Matches): void {
  // `a/#` matches `a` too [MQTT-4.7.1-2].
  if (node.hash && !noWildcard) for (const match of node.hash) found.push(match)
  const level = levels[at]
  if (level === undefined) {
    if (node.here) for (const match of node.here) found.push(match)
    return
  }
  const child = node.children?.get(level)
  if (child) collect(child, levels, at + 1, false, found)
  const plus = noWildcard ? undefined : node.children?.get('+')
  if (plus) collect(plus, levels, at + 1, false, found)
}

function toRoute(matches: Matches): Route {
  const byRecipient = new Map<Recipient, Target>()
  for (const [recipient, options] of matches) {
    const other = byRecipient.get(recipient)
    byRecipient.set(recipient, other ? merge(other, options) : toTarget(recipient, options))
  }
  const targets = [...byRecipient.values()]
  return { targets, queued: targets.filter((target) => target.qos > 0 && target.recipient.persistent) }
}

function toTarget(recipient: Recipient, options: SubscriptionOptions): Target {
  const { subscriptionId, ...rest } = options
  return { recipient, ...rest, subscriptionIds: subscriptionId > 0 ? [subscriptionId] : [] }
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
  }
}
