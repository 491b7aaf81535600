// The flood at a subscriber that may have stopped reading, beside a witness pair.
import type { RunningBroker } from '../brokers/broker.ts'
import { Crowd } from '../crowd.ts'
import { Latency, type Percentiles } from '../latency.ts'
import { Ledger } from '../ledger.ts'
import type { MqttClient } from '../mqtt-client.ts'
import { publishTemplate, type Qos } from '../mqtt-packets.ts'
import { pace, untilDone } from '../pace.ts'
import { ageUsAt, Publisher, publisherAt, sequenceAt } from '../publisher.ts'

export const messages = 50_000
export const floodPerSecond = 25_000
export const witnessPerSecond = 1000
export const jamMib = 8
const unacknowledged = 64
const settleSeconds = 1
const jamBytes = 32 * 1024
const [floodId, jamId] = [0, 1]

type Witness = Readonly<{ publisher: Publisher; ledger: Ledger; latency: Latency }>
export type Flood = Readonly<{
  clientId: string
  qos: Qos
  persistent: boolean
  freezes: boolean
  messages: number
}>
export type Outcome = Percentiles & Readonly<{ growthMib: number; lost: number }>

export async function connectWitness(crowd: Crowd): Promise<Witness> {
  const ledger = new Ledger()
  const latency = new Latency()
  const subscriber = await crowd.connect({
    clientId: 'bench-witness-sub',
    receiver: {
      onPublish(bytes, payloadAt) {
        ledger.take(sequenceAt(bytes, payloadAt))
        latency.add(ageUsAt(bytes, payloadAt))
      },
    },
  })
  await subscriber.subscribe('bench/witness', 1)
  const publisher = await connectPublisher(crowd, 'bench/witness', 1, 2 * witnessPerSecond)
  return { publisher, ledger, latency }
}

async function connectPublisher(crowd: Crowd, topic: string, qos: Qos, window: number): Promise<Publisher> {
  const own: { publisher: Publisher | null } = { publisher: null }
  const client = await crowd.connect({
    clientId: `bench-pub-${topic}`,
    receiver: { onPuback: (packetId) => own.publisher?.acknowledge(packetId) },
  })
  const publisher = new Publisher(client, { id: floodId, topic, qos, window })
  own.publisher = publisher
  return publisher
}

export async function flood(broker: RunningBroker, crowd: Crowd, witness: Witness, options: Flood): Promise<Outcome> {
  const topic = `bench/frozen/${options.clientId}`
  const ledger = new Ledger()
  const target = await connectTarget(crowd, topic, options, ledger)
  // At QoS 0 nothing tells the publisher of progress, so its whole flood fits in its ring.
  const publisher = await connectPublisher(
    crowd,
    topic,
    options.qos,
    options.qos === 1 ? unacknowledged : options.messages,
  )
  publisher.limit = options.messages
  const rssBefore = broker.rss()
  let highest = rssBefore
  if (options.freezes) {
    target.freeze()
    await jam(crowd, topic)
    // What the jam itself costs the witness is not in question.
    await pace(witnessPerSecond, settleSeconds, (count) => witness.publisher.fill(count))
  }
  witness.latency.take()
  await paceBoth(witness, publisher, () => {
    highest = Math.max(highest, broker.rss())
  })
  const latency = witness.latency.take()
  target.thaw()
  await untilDone(
    () => ledger.received >= options.messages,
    () => ledger.received,
    options.qos === 0 ? 1000 : 5000,
  )
  highest = Math.max(highest, broker.rss())
  return { ...latency, growthMib: (highest - rssBefore) / 2 ** 20, lost: ledger.lost(options.messages) }
}

async function connectTarget(crowd: Crowd, topic: string, options: Flood, ledger: Ledger): Promise<MqttClient> {
  const client = await crowd.connect({
    clientId: options.clientId,
    account: 0,
    clean: !options.persistent,
    receiver: {
      onPublish(bytes, payloadAt) {
        if (publisherAt(bytes, payloadAt) === floodId) ledger.take(sequenceAt(bytes, payloadAt))
      },
    },
  })
  await client.subscribe(topic, options.qos)
  return client
}

/** The kernel alone would hold thousands of small messages: fills its buffers, so that the broker has to keep the flood. */
async function jam(crowd: Crowd, topic: string): Promise<void> {
  const own: { onAcknowledged: () => void } = { onAcknowledged: () => undefined }
  const client = await crowd.connect({
    clientId: `bench-jam-${topic}`,
    receiver: { onPuback: () => own.onAcknowledged() },
  })
  const acknowledged = new Promise<void>((resolve) => {
    own.onAcknowledged = resolve
  })
  const { bytes, payloadAt } = publishTemplate({ topic, qos: 0, payloadBytes: jamBytes })
  bytes.writeUInt32BE(jamId, payloadAt)
  for (let sent = 0; sent < jamMib * 2 ** 20; sent += jamBytes) client.write(bytes)
  // Packets of a connection are handled in order, so this one's PUBACK tells that the others were.
  client.write(publishTemplate({ topic: 'bench/jammed', qos: 1, payloadBytes: 1 }).bytes)
  await acknowledged
}

/** A clean session takes the persistent one of the same client id with it. */
export async function endSession(broker: RunningBroker, clientId: string): Promise<void> {
  const crowd = new Crowd(broker)
  await crowd.connect({ clientId, account: 0 })
  await crowd.leave()
}

/** Flood and witness at their rates until all messages are sent; looks at the memory twenty times a second. */
async function paceBoth(witness: Witness, publisher: Publisher, look: () => void): Promise<void> {
  let due = 0
  let ticks = 0
  const send = (count: number): void => {
    const before = ticks
    ticks += count
    due += count
    due -= publisher.fill(due)
    witness.publisher.fill(crossings(before, ticks, floodPerSecond / witnessPerSecond))
    if (crossings(before, ticks, floodPerSecond / 20) > 0) look()
  }
  await pace(floodPerSecond, publisher.limit / floodPerSecond, send)
  const isSent = (): boolean => {
    publisher.fill()
    return publisher.sent >= publisher.limit
  }
  await untilDone(isSent, () => publisher.sent)
}

/** How many multiples of `step` lie in (from, to]. */
function crossings(from: number, to: number, step: number): number {
  return Math.floor(to / step) - Math.floor(from / step)
}
