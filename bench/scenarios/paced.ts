// A light load: what one message costs when messages come one at a time.
import type { RunningBroker } from '../brokers/broker.ts'
import { Crowd } from '../crowd.ts'
import { Latency } from '../latency.ts'
import { faultsOf, Ledger } from '../ledger.ts'
import { costs, startMeter } from '../meter.ts'
import type { Qos } from '../mqtt-packets.ts'
import { pace, untilDone } from '../pace.ts'
import { ageUsAt, Publisher, payloadBytes, sequenceAt } from '../publisher.ts'
import {
  atMostTimes,
  brokerCost,
  type Figures,
  faultFigure,
  faultRow,
  mqttPeers,
  type Scenario,
  steadyRows,
} from './scenario.ts'

const pairs = 50

type Kind = Readonly<{
  name: string
  qos: Qos
  perSecond: number
  /** Times the cost of Mosquitto. */
  limit: number
}>

export function paced(kind: Kind): Scenario {
  const { name, qos, perSecond, limit } = kind
  return {
    name,
    about: `${pairs} publishers → ${pairs} subscribers, ${payloadBytes} B, QoS ${qos}, ${perSecond} messages per second in all, evenly spaced. The generator spins for exact times.`,
    rows: [
      brokerCost(atMostTimes(limit)),
      { figure: 'p50Ms', label: 'latency p50', unit: 'ms', target: atMostTimes(1.2) },
      { figure: 'p99Ms', label: 'latency p99', unit: 'ms', target: atMostTimes(1.5) },
      ...steadyRows,
      faultRow,
    ],
    peers: mqttPeers,
    run: (broker, seconds) => run(broker, seconds, kind),
  }
}

type Pair = Readonly<{ publisher: Publisher; ledger: Ledger }>

async function run(broker: RunningBroker, seconds: number, { qos, perSecond }: Kind): Promise<Figures> {
  const crowd = new Crowd(broker)
  const latency = new Latency()
  const made = await crowd.connectAll(pairs, (index) => connectPair(crowd, index, qos, latency))
  let turn = 0
  const send = (count: number): void => {
    for (let i = 0; i < count; i++) made[turn++ % pairs]?.publisher.fill(1)
  }
  await pace(perSecond, Math.min(1, seconds / 2), send)
  latency.take()
  const stop = startMeter(broker)
  await pace(perSecond, seconds, send)
  const figures = costs(stop(), perSecond * seconds)
  await untilDone(
    () => made.every(isDelivered),
    () => made.reduce((sum, { ledger }) => sum + ledger.received, 0),
  )
  crowd.check()
  await crowd.leave()
  const faults = faultsOf(made.map(({ ledger, publisher }) => ({ ledger, sent: publisher.sent })))
  return { ...figures, ...latency.take(), ...faultFigure(faults) }
}

function isDelivered({ publisher, ledger }: Pair): boolean {
  return ledger.received >= publisher.sent
}

async function connectPair(crowd: Crowd, index: number, qos: Qos, latency: Latency): Promise<Pair> {
  const topic = `bench/paced/${index}`
  const ledger = new Ledger()
  const own: { publisher: Publisher | null } = { publisher: null }
  const client = await crowd.connect({
    clientId: `bench-pub-${index}`,
    receiver: { onPuback: (packetId) => own.publisher?.acknowledge(packetId) },
  })
  const publisher = new Publisher(client, { id: index, topic, qos, window: 256 })
  own.publisher = publisher
  const subscriber = await crowd.connect({
    clientId: `bench-sub-${index}`,
    receiver: {
      onPublish(bytes, payloadAt) {
        ledger.take(sequenceAt(bytes, payloadAt))
        if (qos === 0) publisher.done++
        latency.add(ageUsAt(bytes, payloadAt))
      },
    },
  })
  await subscriber.subscribe(topic, qos)
  return { publisher, ledger }
}
