// One subscriber stops reading while messages are sent to it; a pair of others goes on.
import type { RunningBroker } from '../brokers/broker.ts'
import { Crowd } from '../crowd.ts'
import { Latency, type Percentiles } from '../latency.ts'
import { Ledger } from '../ledger.ts'
import type { MqttClient } from '../mqtt-client.ts'
import type { Qos } from '../mqtt-packets.ts'
import { pace, untilDone } from '../pace.ts'
import { ageUsAt, Publisher, payloadBytes, sequenceAt } from '../publisher.ts'
import type { Figures, Scenario } from './scenario.ts'

const messages = 50_000
const floodPerSecond = 20_000
const witnessPerSecond = 1000
const window = 64

const withinTwice = { of: 'value', limit: 2 } as const
const growth = { of: 'value', limit: 64 } as const
const none = { of: 'value', limit: 0 } as const

export const frozen: Scenario = {
  name: 'frozen',
  about: `A subscriber stops reading while ${messages} messages of ${payloadBytes} B are sent to it at ${floodPerSecond}/s, then reads on. A witness pair exchanges ${witnessPerSecond} messages per second at QoS 1 all the time; its latency is compared with that before the flood. Of QoS 0 messages to the frozen one some may be dropped; of QoS 1 none.`,
  rows: [
    { figure: 'quietP50Ms', label: 'witness before: p50', unit: 'ms' },
    { figure: 'quietP99Ms', label: 'witness before: p99', unit: 'ms' },
    { figure: 'readingP99Ms', label: 'witness, same flood to a subscriber that reads: p99', unit: 'ms' },
    { figure: 'qos0P50Ms', label: 'frozen, QoS 0: witness p50', unit: 'ms' },
    { figure: 'qos0P99Ms', label: 'frozen, QoS 0: witness p99', unit: 'ms' },
    { figure: 'qos0Slower', label: 'frozen, QoS 0: witness p99 / before', unit: '×', target: withinTwice },
    { figure: 'qos0GrowthMib', label: 'frozen, QoS 0: broker memory, highest growth', unit: 'MiB', target: growth },
    { figure: 'qos0Dropped', label: 'frozen, QoS 0: dropped', unit: '' },
    { figure: 'qos1P50Ms', label: 'frozen, QoS 1: witness p50', unit: 'ms' },
    { figure: 'qos1P99Ms', label: 'frozen, QoS 1: witness p99', unit: 'ms' },
    { figure: 'qos1Slower', label: 'frozen, QoS 1: witness p99 / before', unit: '×', target: withinTwice },
    { figure: 'qos1GrowthMib', label: 'frozen, QoS 1: broker memory, highest growth', unit: 'MiB', target: growth },
    { figure: 'qos1Lost', label: 'frozen, QoS 1: lost', unit: '', target: none },
    { figure: 'witnessLost', label: 'witness: lost', unit: '', target: none },
  ],
  run,
}

async function run(broker: RunningBroker): Promise<Figures> {
  const crowd = new Crowd(broker)
  const witness = await connectWitness(crowd)
  const seconds = messages / floodPerSecond
  // The first flood also lets the broker's compilers warm up: a slow start would flatter the comparison.
  const reading = await flood(broker, crowd, witness, { name: 'reading', qos: 1, freezes: false })
  await pace(witnessPerSecond, seconds, (count) => witness.publisher.fill(count))
  const quiet = witness.latency.take()
  const qos0 = await flood(broker, crowd, witness, { name: 'qos0', qos: 0, freezes: true })
  const qos1 = await flood(broker, crowd, witness, { name: 'qos1', qos: 1, freezes: true })
  const { publisher, ledger } = witness
  await untilDone(
    () => ledger.received >= publisher.sent,
    () => ledger.received,
  )
  crowd.check()
  await crowd.leave()
  return {
    quietP50Ms: quiet.p50Ms,
    quietP99Ms: quiet.p99Ms,
    readingP99Ms: reading.p99Ms,
    ...figuresOf('qos0', qos0, quiet),
    ...figuresOf('qos1', qos1, quiet),
    qos0Dropped: qos0.lost,
    qos1Lost: qos1.lost,
    witnessLost: ledger.lost(publisher.sent),
  }
}

type Witness = Readonly<{ publisher: Publisher; ledger: Ledger; latency: Latency }>
type Flood = Readonly<{ name: string; qos: Qos; freezes: boolean }>
type Outcome = Percentiles & Readonly<{ growthMib: number; lost: number }>

function figuresOf(name: string, outcome: Outcome, quiet: Percentiles): Figures {
  return {
    [`${name}P50Ms`]: outcome.p50Ms,
    [`${name}P99Ms`]: outcome.p99Ms,
    [`${name}Slower`]: outcome.p99Ms / quiet.p99Ms,
    [`${name}GrowthMib`]: outcome.growthMib,
  }
}

async function connectWitness(crowd: Crowd): Promise<Witness> {
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
  const publisher = await connectPublisher(crowd, 'bench/witness', 1)
  return { publisher, ledger, latency }
}

/** At QoS 0 nothing tells the publisher of progress, so its whole flood fits in its ring. */
async function connectPublisher(crowd: Crowd, topic: string, qos: Qos): Promise<Publisher> {
  const own: { publisher: Publisher | null } = { publisher: null }
  const client = await crowd.connect({
    clientId: `bench-pub-${topic}`,
    receiver: { onPuback: (packetId) => own.publisher?.acknowledge(packetId) },
  })
  const publisher = new Publisher(client, { id: 0, topic, qos, window: qos === 1 ? window : messages })
  own.publisher = publisher
  return publisher
}

async function flood(broker: RunningBroker, crowd: Crowd, witness: Witness, options: Flood): Promise<Outcome> {
  const topic = `bench/frozen/${options.name}`
  const ledger = new Ledger()
  const target = await connectTarget(crowd, topic, options, ledger)
  const publisher = await connectPublisher(crowd, topic, options.qos)
  if (options.freezes) target.freeze()
  witness.latency.take()
  const rssBefore = broker.rss()
  let highest = rssBefore
  await paceBoth(witness, publisher, () => {
    highest = Math.max(highest, broker.rss())
  })
  const latency = witness.latency.take()
  target.thaw()
  await untilDone(
    () => ledger.received >= messages,
    () => ledger.received,
    options.qos === 0 ? 1000 : 5000,
  )
  highest = Math.max(highest, broker.rss())
  return { ...latency, growthMib: (highest - rssBefore) / 1024 / 1024, lost: ledger.lost(messages) }
}

async function connectTarget(crowd: Crowd, topic: string, options: Flood, ledger: Ledger): Promise<MqttClient> {
  const client = await crowd.connect({
    clientId: `bench-${options.name}`,
    receiver: { onPublish: (bytes, payloadAt) => ledger.take(sequenceAt(bytes, payloadAt)) },
  })
  await client.subscribe(topic, options.qos)
  return client
}

/** Flood and witness at their rates until all messages are sent; looks at the memory twenty times a second. */
async function paceBoth(witness: Witness, publisher: Publisher, look: () => void): Promise<void> {
  publisher.limit = messages
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
  await pace(floodPerSecond, messages / floodPerSecond, send)
  const isSent = (): boolean => {
    publisher.fill()
    return publisher.sent >= messages
  }
  await untilDone(isSent, () => publisher.sent)
}

/** How many multiples of `step` lie in (from, to]. */
function crossings(from: number, to: number, step: number): number {
  return Math.floor(to / step) - Math.floor(from / step)
}
