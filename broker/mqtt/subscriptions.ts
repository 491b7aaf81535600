// SUBSCRIBE and UNSUBSCRIBE: plain filters go to the router, streams to followers. MQTT 5 §3.8, §3.10
import type { SubscriptionOptions } from '../routes.ts'
import { isShared } from '../shared-filter.ts'
import type { StoredSubscription } from '../stores.ts'
import type { FilterKind } from '../topic.ts'
import type { Accepted } from './accept.ts'
import type { Level } from './codec/packet-type.ts'
import { type Subscribe, type Subscription, writeSuback } from './codec/subscribe.ts'
import { type Unsubscribe, writeUnsuback } from './codec/unsubscribe.ts'
import type { Host } from './host.ts'
import { fitting, refusedFilters } from './reasons.ts'
import type { Replay } from './replay.ts'
import { authoriseAgain } from './rights.ts'
import { SessionStreams } from './streams.ts'

/** The answer, and what follows once it is on its way. */
export type Answered = Readonly<{ answer: Buffer; after: () => void }>

type Asked = Readonly<{ subscription: Subscription; options: SubscriptionOptions; kind: FilterKind; isNew: boolean }>

const filterInvalid = 0x8f
const quotaExceeded = 0x97
const notAuthorized = 0x87
const noSubscriptionExisted = 0x11

/** @throws when the store is away, or SessionEnded: nothing is acknowledged then */
export async function subscribe(
  host: Host,
  accepted: Accepted,
  level: Level,
  packet: Subscribe,
  replay: Replay,
): Promise<Answered> {
  const { session, rights } = accepted
  const { epoch } = rights
  const fresh = new Set<string>()
  const asked = await Promise.all(
    packet.subscriptions.map((subscription) =>
      authorise(host, accepted, ask(host, accepted, { packet, subscription, fresh })),
    ),
  )
  const granted = asked.filter(({ kind }) => kind.kind !== 'refused')
  const hasStreams = granted.some(({ kind }) => kind.kind === 'streams')
  // A stream's first SUBSCRIBE starts at the head (DESIGN §5).
  const head = hasStreams ? await host.head(session.account) : 0
  await host.sessions.keepSubscriptions(
    session,
    granted.map((one) => toStored(one, accepted, head)),
    [],
  )
  host.sessions.demand(session)
  for (const one of granted) open(host, accepted, one, head)
  if (rights.epoch !== epoch) await authoriseAgain(host, session, rights)
  const codes = asked.map(({ kind, options }) => (kind.kind === 'refused' ? kind.reason : options.qos))
  const answer = fitting(accepted.maxPacketBytes, refusedFilters(accepted, codes), (properties) =>
    writeSuback(level, packet.packetId, codes, properties),
  )
  const after = () => {
    replayRetained(host, granted, replay)
    showPresence(accepted, granted)
  }
  return { answer, after }
}

/** Only the roster knows whose presence may be seen; whether such an account exists is not told. */
async function authorise(host: Host, { session }: Accepted, asked: Asked): Promise<Asked> {
  const { kind } = asked
  if (kind.kind !== 'presence') return asked
  const options = { ...asked.options, qos: 0 } as const
  const me = host.party(session.account, session.accountName)
  const isAllowed = kind.of === null || (await host.presence.visible(me, kind.of)) !== null
  return { ...asked, options, kind: isAllowed ? kind : { kind: 'refused', reason: notAuthorized } }
}

/** Presence is like a retained message: it is shown anew by each SUBSCRIBE that asks for those. */
function showPresence({ session }: Accepted, granted: readonly Asked[]): void {
  if (!(session.streams instanceof SessionStreams)) return
  for (const { kind, subscription, isNew } of granted) {
    const { filter, retainHandling } = subscription
    const isWanted = retainHandling === 0 || (retainHandling === 1 && isNew)
    if (kind.kind === 'presence' && isWanted) session.streams.presence.showCurrent(filter)
  }
}

/** `fresh`: filters that the packet brings before this one, and that the session does not have yet. */
type Asking = Readonly<{ packet: Subscribe; subscription: Subscription; fresh: Set<string> }>

function ask(host: Host, { session, rights }: Accepted, { packet, subscription, fresh }: Asking): Asked {
  const { filter, valid, noLocal, retainAsPublished } = subscription
  const kind = rights.decideFilter(filter)
  const qos = kind.kind === 'plain' || subscription.qos === 0 ? subscription.qos : 1 // [MQTT-3.8.4-8] a stream's is 1
  const options = { qos, noLocal, retainAsPublished, subscriptionId: packet.subscriptionIdentifier } as const
  const isNew = !session.subscriptions.has(filter) && !session.streams?.has(filter)
  const count = session.subscriptions.size + (session.streams?.count ?? 0) + fresh.size
  const { topicBytes, topicLevels, subscriptionsPerSession } = host.limits
  const isTooLong = filter.split('/', topicLevels + 1).length > topicLevels || Buffer.byteLength(filter) > topicBytes
  if (isTooLong) host.counters.limitTopics++
  const isWellFormed = valid && !isTooLong
  if (!isWellFormed) return { subscription, options, isNew, kind: { kind: 'refused', reason: filterInvalid } }
  if (isNew && !fresh.has(filter) && count >= subscriptionsPerSession) {
    host.counters.limitSubscriptions++
    return { subscription, options, isNew, kind: { kind: 'refused', reason: quotaExceeded } }
  }
  if (isNew && kind.kind !== 'refused') fresh.add(filter)
  return { subscription, options, isNew, kind }
}

/** The position of a stream that is followed already stays. */
function toStored(
  { subscription: { filter }, options, kind, isNew }: Asked,
  { session }: Accepted,
  head: number,
): StoredSubscription {
  if (kind.kind === 'presence') return { filter, ...options, position: 0 }
  const position = kind.kind === 'streams' ? (isNew ? head : (session.streams?.positions().get(filter) ?? head)) : null
  return { filter, ...options, position }
}

function open(
  host: Host,
  { session }: Accepted,
  { subscription: { filter }, options, kind }: Asked,
  head: number,
): void {
  if (kind.kind === 'streams') streamsOf(host, session).add(filter, { views: kind.views, options }, head)
  else if (kind.kind === 'presence') streamsOf(host, session).presence.add(filter, { of: kind.of, options })
  // A SUBSCRIBE to the same filter replaces the options [MQTT-3.8.4-3].
  else host.sessions.subscribe(session, { filter, ...options, position: null })
  if (kind.kind !== 'plain' && session.transport !== null) session.streams?.open()
}

function streamsOf({ followers, delivered, presenceStreams }: Host, session: Accepted['session']): SessionStreams {
  if (session.streams instanceof SessionStreams) return session.streams
  const streams = new SessionStreams({
    ...{ session, followers, delivered, presence: presenceStreams.of(session) },
    ...{ repeatsUpTo: 0, eventPosition: 0 },
  })
  session.streams = streams
  return streams
}

function replayRetained(host: Host, granted: readonly Asked[], replay: Replay): void {
  for (const { subscription, options, kind, isNew } of granted) {
    const { filter, retainHandling } = subscription
    // [MQTT-3.3.1-9] .. [MQTT-3.3.1-11]
    const isWanted = kind.kind === 'plain' && (retainHandling === 0 || (retainHandling === 1 && isNew))
    // A shared subscription gets none (§4.8.2).
    if (isWanted && !isShared(filter)) replay.add(filter, host.retained.match(filter), options)
  }
}

export async function unsubscribe(
  host: Host,
  { session }: Accepted,
  level: Level,
  packet: Unsubscribe,
  replay: Replay,
): Promise<Answered> {
  const known = new Set(
    packet.filters.filter((filter) => session.subscriptions.has(filter) || session.streams?.has(filter) === true),
  )
  await host.sessions.keepSubscriptions(session, [], [...known])
  for (const filter of packet.filters) {
    host.sessions.unsubscribe(session, filter)
    session.streams?.remove(filter)
    replay.remove(filter)
  }
  // A filter named twice is gone the second time [MQTT-3.10.4-6]
  const codes = packet.filters.map((filter) => (known.delete(filter) ? 0 : noSubscriptionExisted))
  return { answer: writeUnsuback(level, packet.packetId, codes), after: () => undefined }
}
