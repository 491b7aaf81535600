// The limits of DESIGN §9 that concern what exists. One frozen table; tests start brokers with smaller ones.

export type Limits = Readonly<{
  /** Unacknowledged QoS 1 publishes of a connection; a power of two. */
  receiveMaximum: number
  /** Unacknowledged QoS 1 messages to a session; the client's Receive Maximum may lower it. */
  sendWindow: number
  maxPacketBytes: number
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
}>

const KiB = 1024
const MiB = 1024 * KiB

export const defaultLimits: Limits = Object.freeze({
  receiveMaximum: 64,
  sendWindow: 64,
  maxPacketBytes: MiB,
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
})
