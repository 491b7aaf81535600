// The limits of DESIGN §9 that concern what exists; what an operator may set comes from the table of settings. Tests start
// brokers with smaller ones.
import type { Config } from './config.ts'

export type Limits = Readonly<{
  /** Unacknowledged QoS 1 publishes of a connection; a power of two. */
  receiveMaximum: number
  /** Unacknowledged QoS 1 messages to a session; the client's Receive Maximum may lower it. */
  sendWindow: number
  maxPacketBytes: number
  /** Topic aliases that a client may have on its connection. */
  topicAliases: number
  /** A CONNECT: what a stranger may say. */
  connectBytes: number
  /** Bytes waiting for a commit, per node. */
  waitingBytes: number
  /** Age of the oldest waiting commit at which /ready says no, and at which waiting connections are closed. */
  waitingUnreadyMs: number
  waitingCloseMs: number
  outputBytes: number
  outputStallMs: number
  /** Queue of one persistent session. */
  queueMessages: number
  queueBytes: number
  /** QoS 1 messages that wait in memory for a clean session whose window or output is full. */
  cleanQueueMessages: number
  cleanQueueBytes: number
  cachedTopics: number
  cachedTopicBytes: number
  retainedMessages: number
  retainedBytes: number
  logReaders: number
  subscriptionsPerSession: number
  /** Time to send CONNECT, to log in on an XMPP stream, to finish a TLS handshake or an HTTP request (its head: half). */
  loginMs: number
  connections: number
  topicBytes: number
  topicLevels: number
  /** Infinity: as many as there are. Of accounts, and of networks (broker/network.ts), MQTT. */
  connectionsPerAccount: number
  connectionsPerAddress: number
  /** That outlive their connections. */
  sessionsPerAccount: number
  connectsPerSecond: number
  /** On plain topics, per connection. */
  publishesPerSecond: number
  /** Infinity: clients decide. Of MQTT 5 clients, and of all sessions. */
  keepAliveSeconds: number
  sessionExpirySeconds: number
  /** So many lost connections of a client within the window keep it out. */
  flappingLosses: number
  flappingWindowMs: number
  flappingBanMs: number
}>

const KiB = 1024
const MiB = 1024 * KiB

export const defaultLimits: Limits = Object.freeze({
  receiveMaximum: 64,
  sendWindow: 64,
  maxPacketBytes: MiB,
  topicAliases: 32,
  connectBytes: 128 * KiB,
  waitingBytes: 64 * MiB,
  waitingUnreadyMs: 10_000,
  waitingCloseMs: 60_000,
  outputBytes: 256 * KiB,
  outputStallMs: 60_000,
  queueMessages: 100_000,
  queueBytes: 64 * MiB,
  cleanQueueMessages: 10_000,
  cleanQueueBytes: 4 * MiB,
  cachedTopics: 50_000,
  cachedTopicBytes: 64 * MiB,
  retainedMessages: 250_000,
  retainedBytes: 256 * MiB,
  logReaders: 32,
  subscriptionsPerSession: 10_000,
  loginMs: 30_000,
  connections: 100_000,
  topicBytes: 4096,
  topicLevels: 128,
  connectionsPerAccount: 10_000,
  connectionsPerAddress: 10_000,
  sessionsPerAccount: 10_000,
  connectsPerSecond: 500,
  publishesPerSecond: Number.POSITIVE_INFINITY,
  keepAliveSeconds: Number.POSITIVE_INFINITY,
  sessionExpirySeconds: Number.POSITIVE_INFINITY,
  flappingLosses: Number.POSITIVE_INFINITY,
  flappingWindowMs: 60_000,
  flappingBanMs: 300_000,
})

/** What an operator may set, over what only a developer changes. */
export function toLimits({ limits, flapping }: Pick<Config, 'limits' | 'flapping'>): Limits {
  const { packetBytes, connectionsPerAccount, connectionsPerAddress, sessionsPerAccount, ...rest } = limits
  const { connectsPerSecond, publishesPerSecond, keepAliveSeconds, sessionExpirySeconds, ...same } = rest
  return Object.freeze({
    ...defaultLimits,
    ...same,
    maxPacketBytes: packetBytes,
    connectionsPerAccount: orInfinity(connectionsPerAccount),
    connectionsPerAddress: orInfinity(connectionsPerAddress),
    sessionsPerAccount: orInfinity(sessionsPerAccount),
    connectsPerSecond: orInfinity(connectsPerSecond),
    publishesPerSecond: orInfinity(publishesPerSecond),
    keepAliveSeconds: orInfinity(keepAliveSeconds),
    sessionExpirySeconds: orInfinity(sessionExpirySeconds),
    flappingLosses: orInfinity(flapping.losses),
    flappingWindowMs: flapping.windowSeconds * 1000,
    flappingBanMs: flapping.banSeconds * 1000,
  })
}

const orInfinity = (limit: number | 'off'): number => (limit === 'off' ? Number.POSITIVE_INFINITY : limit)
