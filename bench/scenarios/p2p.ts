// Fifty publishers, each with a subscriber of its own, at saturation.
import type { RunningBroker } from '../brokers/broker.ts'
import { Crowd } from '../crowd.ts'
import { steady } from '../meter.ts'
import type { Qos } from '../mqtt-packets.ts'
import { payloadBytes } from '../publisher.ts'
import { connectPairs, subscriberId } from './pairs.ts'
import { atMostTimes, brokerCost, type Figures, faultRow, mqttPeers, type Scenario, steadyRows } from './scenario.ts'

const pairs = 50

type Kind = Readonly<{
  name: string
  qos: Qos
  window?: number
  bytes?: number
  persistent?: boolean
  /** Times the cost of Mosquitto. */
  limit: number
}>

export function p2p(kind: Kind): Scenario {
  const { name, qos, window = 20, bytes = payloadBytes, persistent = false, limit } = kind
  const outstanding = qos === 0 ? 'not yet received' : 'not yet acknowledged to the publisher'
  const to = persistent ? 'subscribers with persistent sessions, all online' : 'subscribers'
  return {
    name,
    about: `${pairs} publishers → ${pairs} ${to}, ${bytes} B, QoS ${qos}, at saturation: up to ${window} per pair are ${outstanding}.`,
    rows: [brokerCost(atMostTimes(limit)), ...steadyRows, faultRow],
    peers: mqttPeers,
    run: (broker, seconds) => run(broker, seconds, { ...kind, window, bytes, persistent }),
  }
}

async function run(broker: RunningBroker, seconds: number, kind: Required<Kind>): Promise<Figures> {
  const crowd = new Crowd(broker)
  const made = await connectPairs(crowd, { ...kind, pairs })
  made.go()
  const figures = await steady(broker, seconds, made.delivered)
  await made.halt()
  crowd.check()
  await crowd.leave()
  if (kind.persistent) await endSessions(broker, kind.name)
  return { ...figures, ...made.faults() }
}

/** A clean session takes the persistent one of the same account and client id with it. */
async function endSessions(broker: RunningBroker, name: string): Promise<void> {
  const crowd = new Crowd(broker)
  await crowd.connectAll(pairs, (index) => crowd.connect({ clientId: subscriberId(name, index), account: index }))
  await crowd.leave()
}
