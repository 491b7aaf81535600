// What all MQTT connections of a node share. Types only.
import type { Bus } from '../bus.ts'
import type { ConnectionGate } from '../connection-gate.ts'
import type { Presence } from '../contacts.ts'
import type { Limits } from '../limits.ts'
import type { Logger } from '../log.ts'
import type { Counters } from '../metrics.ts'
import type { Policy } from '../policy.ts'
import type { Pressure } from '../pressure.ts'
import type { Publication } from '../publication.ts'
import type { Queue } from '../queue.ts'
import type { RetainedMessages } from '../retained.ts'
import type { Sessions } from '../sessions.ts'
import type { TopicTable } from '../topic-table.ts'
import type { Admission, Authenticator, Followers, LogEntry, Notice, Party, Principal } from '../types.ts'
import type { Flusher } from './output.ts'
import type { PresenceStreams } from './presence-streams.ts'
import type { MqttWills } from './will.ts'

export type Host = Readonly<{
  domain: string
  /** The principal of clients without a user name; null: they are refused. */
  anonymous: Principal | null
  auth: Pick<Authenticator, 'login' | 'onEnd' | 'principal' | 'verifiers' | 'demandTry' | 'tried'>
  sessions: Sessions
  wills: Pick<MqttWills, 'refusal'>
  topics: TopicTable
  retained: RetainedMessages
  bus: Bus
  policy: Policy
  /** What QoS 2 keeps beside messages. */
  queue: Pick<Queue, 'keep' | 'forget'>
  admission: Admission
  followers: Followers
  /** A chat device has acknowledged an entry. */
  delivered: (entry: LogEntry) => void
  presence: Presence
  presenceStreams: PresenceStreams
  /** The name by which others know a device (DESIGN §3). */
  publicResource: (clientId: string) => string
  /** An account's last seq. */
  head: (account: number) => Promise<number>
  notice: (account: number, notice: Notice) => void
  party: (id: number, name: string) => Party
  pressure: Pressure
  gate: ConnectionGate
  flusher: Flusher
  /** The one publication that every PUBLISH is lent in. */
  lent: Publication
  limits: Limits
  counters: Counters
  logger: Logger
}>
