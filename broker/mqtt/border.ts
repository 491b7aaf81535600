// Puts the MQTT border together: topics, sessions, queue, bus, listener.
import { createBus } from '../bus.ts'
import type { Config } from '../config.ts'
import { createConnectionGate } from '../connection-gate.ts'
import type { Presence } from '../contacts.ts'
import type { Directory } from '../directory.ts'
import type { FollowerHub } from '../follow.ts'
import type { Limits } from '../limits.ts'
import type { Listeners } from '../listener.ts'
import type { Logger } from '../log.ts'
import type { MessageLog } from '../message-log.ts'
import type { Counters } from '../metrics.ts'
import type { Policy } from '../policy.ts'
import { createPressure, type Pressure } from '../pressure.ts'
import { Publication } from '../publication.ts'
import { createQueue } from '../queue.ts'
import { createQueueReader } from '../queue-reader.ts'
import { createRedistribution } from '../redistribution.ts'
import { createRetained } from '../retained.ts'
import { createRouter } from '../router.ts'
import { createSessions, type Sessions } from '../sessions.ts'
import type { Store } from '../stores.ts'
import { createSysTopics } from '../sys-topics.ts'
import { classifyFilter } from '../topic.ts'
import { createTopicTable, looseTopic } from '../topic-table.ts'
import type { Admission, LogEntry, PlainPublisher, Principal } from '../types.ts'
import { readVersion } from '../version.ts'
import { createWills } from '../wills.ts'
import { checkTopicName } from './codec/publish.ts'
import type { Host } from './host.ts'
import { createMqtt, type MqttAdapter } from './listen.ts'
import { createLinks, type Links } from './outgoing.ts'
import { createFlusher } from './output.ts'
import { createPlainPublisher } from './plain-publisher.ts'
import { createPresenceStreams } from './presence-streams.ts'
import { authoriseAllAgain } from './rights.ts'
import { restoreStreams } from './streams.ts'
import { createMqttWills } from './will.ts'

export type MqttBorderDeps = Readonly<{
  config: Pick<Config, 'domain' | 'mqtt' | 'links' | 'listeners'>
  listeners: Listeners
  store: Pick<Store, 'sessions' | 'queues'>
  auth: Host['auth']
  /** The principal of clients without a user name; null: they are refused. */
  anonymous: Principal | null
  policy: Policy
  admission: Admission
  followers: FollowerHub
  /** A chat device has acknowledged an entry. */
  delivered: (entry: LogEntry) => void
  presence: Presence
  /** The name by which others know a device (DESIGN §3). */
  publicResource: (clientId: string) => string
  log: MessageLog
  /** Tells this broker from all others, over restarts. */
  brokerId: string
  directory: Directory
  limits: Limits
  counters: Counters
  logger: Logger
}>

export type MqttBorder = Readonly<{
  adapter: MqttAdapter
  sessions: Sessions
  links: Links
  /** The rules of plain topics are other ones: subscriptions that have lost their right end. */
  rulesChanged(): Promise<void>
  /** Plain topics for the other borders. */
  publisher: PlainPublisher
  /** Says what has changed below `$SYS`. */
  publishSys(): void
  /** Forgets retained messages that have expired. */
  pruneRetained(): void
  /** Forgets connects and losses that are long over. */
  sweepGate(): void
  /** Of chat and plain topics together. */
  pressure: Pressure
  /** Resolves when all queued publications, and sessions that end, are settled. */
  drained(): Promise<void>
  /** Gives up what cannot be stored now; nothing of it was acknowledged. */
  abandon(): void
}>

/** Loads the persistent sessions and retained messages. */
export async function createMqttBorder(deps: MqttBorderDeps): Promise<MqttBorder> {
  const { config, store, followers, log, policy, limits, counters, logger } = deps
  const topics = createTopicTable({
    domain: config.domain,
    maxTopics: limits.cachedTopics,
    maxBytes: limits.cachedTopicBytes,
    check: checkTopicName,
    maxTopicBytes: limits.topicBytes,
    maxLevels: limits.topicLevels,
  })
  const router = createRouter(topics, { limits, counters })
  const queue = createQueue(store.queues, await store.queues.lastPosition(), logger)
  const retained = createRetained(limits, await store.queues.retained())
  const { party } = deps.directory
  const presenceStreams = createPresenceStreams({ presence: deps.presence, party, logger })
  const bus = createBus({ router, queue, retained, counters })
  const mqttWills = createMqttWills({ ...deps, topics, bus, party, notice: followers.notice })
  const wills = createWills({ store: store.sessions, publisher: mqttWills, logger })
  const sessions = createSessions({
    store: store.sessions,
    queues: store.queues,
    router,
    queue,
    wills,
    redistribution: createRedistribution({ queues: store.queues, queue, router, logger }),
    readOn: createQueueReader({ queues: store.queues, logger }),
    limits,
    counters,
    logger,
    restoreStreams: (session, stored, { streamSent, eventPosition }) =>
      restoreStreams(stored, (filter) => classifyFilter(filter, session.accountName, config.domain), {
        session,
        followers,
        presence: presenceStreams.of(session),
        delivered: deps.delivered,
        repeatsUpTo: streamSent,
        eventPosition,
      }),
    onOverflow: ({ account, clientId }, dropped) =>
      followers.notice(account, {
        code: 'queue-overflow',
        detail: 'The oldest queued messages were dropped.',
        at: Date.now(),
        clientId,
        dropped,
      }),
  })
  await sessions.load()
  const sys = createSysTopics({ topics, bus, router, retained, sessions, counters, version: readVersion() })
  const pressure = createPressure([log.batcher, queue.waiting], limits)
  const gate = createConnectionGate({ limits, counters })
  const host: Host = {
    ...deps,
    domain: config.domain,
    sessions,
    wills: mqttWills,
    topics,
    retained,
    bus,
    queue,
    head: log.head,
    notice: followers.notice,
    party,
    presenceStreams,
    pressure,
    gate,
    flusher: createFlusher(),
    lent: new Publication(looseTopic('')),
    logger: logger.child({ area: 'mqtt' }),
  }
  return {
    adapter: createMqtt({ config, listeners: deps.listeners, host }),
    sessions,
    links: createLinks({
      links: config.links,
      host,
      brokerId: deps.brokerId,
      principalOf: (account) => principalOf(deps, account),
      say: sys.say,
    }),
    rulesChanged: () => authoriseAllAgain(host),
    publisher: createPlainPublisher({ topics, bus, policy, maxPayloadBytes: limits.maxPacketBytes }),
    publishSys: sys.publish,
    pruneRetained: retained.prune,
    sweepGate: gate.sweep,
    pressure,
    async drained() {
      await sessions.drained()
      await queue.drained()
    },
    abandon: queue.abandon,
  }
}

async function principalOf({ directory, auth }: MqttBorderDeps, account: string): Promise<Principal | null> {
  const party = await directory.lookup(account)
  return party && auth.principal(party.id, party.name)
}
