// One subscriber stops reading while messages are sent to it; a pair of others goes on.
import type { RunningBroker } from '../brokers/broker.ts'
import { Crowd } from '../crowd.ts'
import type { Percentiles } from '../latency.ts'
import { pace, untilDone } from '../pace.ts'
import { payloadBytes } from '../publisher.ts'
import {
  connectWitness,
  flood,
  floodPerSecond,
  jamMib,
  messages,
  type Outcome,
  witnessPerSecond,
} from './frozen-flood.ts'
import type { Figures, Scenario } from './scenario.ts'

const withinTwice = { of: 'value', limit: 2 } as const
const growth = { of: 'value', limit: 64 } as const
const none = { of: 'value', limit: 0 } as const

export const frozen: Scenario = {
  name: 'frozen',
  about: `A subscriber stops reading; ${jamMib} MiB of large messages fill the buffers of its connection; then ${messages} messages of ${payloadBytes} B are sent to it at ${floodPerSecond}/s before it reads on. A witness pair exchanges ${witnessPerSecond} messages per second at QoS 1 all the time; its latency is compared with that before the flood. Of QoS 0 messages to the frozen one some may be dropped; of QoS 1 none.`,
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

function figuresOf(name: string, outcome: Outcome, quiet: Percentiles): Figures {
  return {
    [`${name}P50Ms`]: outcome.p50Ms,
    [`${name}P99Ms`]: outcome.p99Ms,
    [`${name}Slower`]: outcome.p99Ms / quiet.p99Ms,
    [`${name}GrowthMib`]: outcome.growthMib,
  }
}
