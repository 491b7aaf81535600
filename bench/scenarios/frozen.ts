// One subscriber stops reading while messages are sent to it; a pair of others goes on.
import type { RunningBroker } from '../brokers/broker.ts'
import { Crowd } from '../crowd.ts'
import type { Percentiles } from '../latency.ts'
import { othersBusy, startMeter } from '../meter.ts'
import { pace, untilDone } from '../pace.ts'
import { payloadBytes } from '../publisher.ts'
import {
  connectWitness,
  endSession,
  flood,
  floodPerSecond,
  jamMib,
  messages,
  type Outcome,
  witnessPerSecond,
} from './frozen-flood.ts'
import { type Figures, othersRow, type Row, type Scenario, type Target } from './scenario.ts'

const withinTwice = { of: 'value', limit: 2 } as const
const growth = { of: 'value', limit: 64 } as const
const none = { of: 'value', limit: 0 } as const

function floodRows(figure: string, flood: string, loss: 'dropped' | 'lost'): Row[] {
  const row = (suffix: string, label: string, unit: string, target?: Target): Row => ({
    figure: figure + suffix,
    label: `frozen, ${flood}: ${label}`,
    unit,
    ...(target === undefined ? {} : { target }),
  })
  return [
    row('P50Ms', 'witness p50', 'ms'),
    row('P99Ms', 'witness p99', 'ms'),
    row('Slower', 'witness p99 / before', '×', withinTwice),
    row('GrowthMib', 'broker memory, highest growth since before the first', 'MiB', growth),
    row('Lost', loss, '', loss === 'lost' ? none : undefined),
  ]
}

export const frozen: Scenario = {
  name: 'frozen',
  about: `A subscriber stops reading; ${jamMib} MiB of large messages fill the buffers of its connection; then ${messages} messages of ${payloadBytes} B are sent to it at ${floodPerSecond}/s before it reads on. A witness pair exchanges ${witnessPerSecond} messages per second at QoS 1 all the time; its latency is compared with that before the flood. Of what goes to the frozen one at QoS 0 or to a clean session, a broker may drop what exceeds its limits; for a persistent session nothing may be lost.`,
  rows: [
    { figure: 'quietP50Ms', label: 'witness before: p50', unit: 'ms' },
    { figure: 'quietP99Ms', label: 'witness before: p99', unit: 'ms' },
    { figure: 'readingP99Ms', label: 'witness, same flood to a subscriber that reads: p99', unit: 'ms' },
    ...floodRows('qos0', 'QoS 0', 'dropped'),
    ...floodRows('clean', 'QoS 1, clean session', 'dropped'),
    ...floodRows('kept', 'QoS 1, persistent session', 'lost'),
    { figure: 'witnessLost', label: 'witness: lost', unit: '', target: none },
    othersRow,
  ],
  run,
}

async function run(broker: RunningBroker): Promise<Figures> {
  const stop = startMeter(broker)
  const crowd = new Crowd(broker)
  const witness = await connectWitness(crowd)
  const seconds = messages / floodPerSecond
  // The first flood also lets the broker's compilers warm up: a slow start would flatter the comparison.
  const reading = await flood(broker, crowd, witness, { name: 'reading', qos: 1, persistent: false, freezes: false })
  await pace(witnessPerSecond, seconds, (count) => witness.publisher.fill(count))
  const quiet = witness.latency.take()
  const rssBefore = broker.rss()
  const qos0 = await flood(broker, crowd, witness, { name: 'qos0', qos: 0, persistent: false, freezes: true })
  const clean = await flood(broker, crowd, witness, { name: 'clean', qos: 1, persistent: false, freezes: true })
  const kept = await flood(broker, crowd, witness, { name: 'kept', qos: 1, persistent: true, freezes: true })
  const { publisher, ledger } = witness
  await untilDone(
    () => ledger.received >= publisher.sent,
    () => ledger.received,
  )
  crowd.check()
  await crowd.leave()
  await endSession(broker, 'kept')
  return {
    quietP50Ms: quiet.p50Ms,
    quietP99Ms: quiet.p99Ms,
    readingP99Ms: reading.p99Ms,
    ...figuresOf('qos0', qos0, quiet, rssBefore),
    ...figuresOf('clean', clean, quiet, rssBefore),
    ...figuresOf('kept', kept, quiet, rssBefore),
    othersBusy: othersBusy(stop()),
    witnessLost: ledger.lost(publisher.sent),
  }
}

function figuresOf(name: string, outcome: Outcome, quiet: Percentiles, rssBefore: number): Figures {
  return {
    [`${name}P50Ms`]: outcome.p50Ms,
    [`${name}P99Ms`]: outcome.p99Ms,
    [`${name}Slower`]: outcome.p99Ms / quiet.p99Ms,
    [`${name}GrowthMib`]: (outcome.highestRss - rssBefore) / 2 ** 20,
    [`${name}Lost`]: outcome.lost,
  }
}
