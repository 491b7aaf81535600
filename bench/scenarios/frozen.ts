// One subscriber stops reading while messages are sent to it; a pair of others goes on.
import type { RunningBroker } from '../brokers/broker.ts'
import { Crowd } from '../crowd.ts'
import { othersBusy, startMeter } from '../meter.ts'
import { pace, untilDone } from '../pace.ts'
import { payloadBytes } from '../publisher.ts'
import {
  connectWitness,
  endSession,
  type Flood,
  flood,
  floodPerSecond,
  jamMib,
  messages,
  witnessPerSecond,
} from './frozen-flood.ts'
import { atMost, type Figures, othersRow, type Row, type Scenario } from './scenario.ts'

const quietSeconds = 2
const warmUpMessages = 20_000

const growth = { figure: 'growthMib', label: 'broker memory, highest growth', unit: 'MiB', target: atMost(64) }
const dropped: Row = { figure: 'lost', label: 'dropped for the frozen subscriber', unit: '' }
const lost: Row = { figure: 'lost', label: 'lost for the frozen subscriber', unit: '', target: atMost(0) }

const kinds = {
  qos0: { qos: 0, persistent: false, fate: 'QoS 0: a broker may drop what exceeds its limits.', loss: dropped },
  qos1: {
    qos: 1,
    persistent: false,
    fate: 'QoS 1, clean session: a broker may drop what exceeds its limits.',
    loss: dropped,
  },
  kept: { qos: 1, persistent: true, fate: 'QoS 1, persistent session: nothing may be lost.', loss: lost },
} as const

type FrozenKind = (typeof kinds)[keyof typeof kinds]

export function frozen(name: keyof typeof kinds): Scenario {
  const kind = kinds[name]
  return {
    name: `frozen-${name}`,
    about: `A subscriber stops reading; ${jamMib} MiB of large messages fill the buffers of its connection; then ${messages} messages of ${payloadBytes} B are sent to it at ${floodPerSecond}/s before it reads on. ${kind.fate} A witness pair exchanges ${witnessPerSecond} messages per second at QoS 1 all the time; its latency is compared with that before. aedes is left out: one frozen reader holds up to 100 of the slots that all its clients share.`,
    rows: [
      growth,
      { figure: 'slower', label: 'witness p99, during / before', unit: '×', target: atMost(2) },
      { figure: 'quietP50Ms', label: 'witness p50 before', unit: 'ms' },
      { figure: 'p50Ms', label: 'witness p50 during', unit: 'ms' },
      { figure: 'quietP99Ms', label: 'witness p99 before', unit: 'ms' },
      { figure: 'p99Ms', label: 'witness p99 during', unit: 'ms' },
      kind.loss,
      { figure: 'witnessLost', label: 'lost for the witness', unit: '', target: atMost(0) },
      othersRow,
    ],
    peers: ['mosquitto'],
    run: (broker) => run(broker, kind),
  }
}

async function run(broker: RunningBroker, { qos, persistent }: FrozenKind): Promise<Figures> {
  const stop = startMeter(broker)
  const crowd = new Crowd(broker)
  const witness = await connectWitness(crowd)
  // Lets the broker's compilers warm up on a subscriber that reads: a slow start would flatter the comparison.
  const reading: Flood = { clientId: 'bench-reading', qos, persistent: false, freezes: false, messages: warmUpMessages }
  await flood(broker, crowd, witness, reading)
  await pace(witnessPerSecond, quietSeconds, (count) => witness.publisher.fill(count))
  const quiet = witness.latency.take()
  const freezing: Flood = { clientId: 'bench-frozen', qos, persistent, freezes: true, messages }
  const during = await flood(broker, crowd, witness, freezing)
  const { publisher, ledger } = witness
  await untilDone(
    () => ledger.received >= publisher.sent,
    () => ledger.received,
  )
  const usage = stop()
  crowd.check()
  await crowd.leave()
  await endSession(broker, freezing.clientId)
  return {
    growthMib: during.growthMib,
    slower: during.p99Ms / quiet.p99Ms,
    quietP50Ms: quiet.p50Ms,
    p50Ms: during.p50Ms,
    quietP99Ms: quiet.p99Ms,
    p99Ms: during.p99Ms,
    lost: during.lost,
    witnessLost: ledger.lost(publisher.sent),
    othersBusy: othersBusy(usage),
  }
}
