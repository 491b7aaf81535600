// Fifty publishers, each with a subscriber of its own, as fast as a window of 20 allows.
import type { RunningBroker } from '../brokers/broker.ts'
import { Crowd } from '../crowd.ts'
import { faultsOf, Ledger } from '../ledger.ts'
import { steady } from '../meter.ts'
import type { Qos } from '../mqtt-packets.ts'
import { untilDone } from '../pace.ts'
import { Publisher, payloadBytes, sequenceAt } from '../publisher.ts'
import { brokerCost, type Figures, faultFigure, faultRow, type Scenario, steadyRows, type Target } from './scenario.ts'

const pairs = 50
const window = 20

type Pair = { publisher: Publisher | null; ledger: Ledger }

export function p2p(qos: Qos, target: Target): Scenario {
  const outstanding = qos === 0 ? 'not yet received' : 'not yet acknowledged to the publisher'
  return {
    name: `p2p-qos${qos}`,
    about: `${pairs} publishers → ${pairs} subscribers, ${payloadBytes} B, QoS ${qos}, at saturation: up to ${window} per pair are ${outstanding}.`,
    rows: [brokerCost(target), ...steadyRows, faultRow],
    run: (broker, seconds) => run(broker, seconds, qos),
  }
}

async function run(broker: RunningBroker, seconds: number, qos: Qos): Promise<Figures> {
  const crowd = new Crowd(broker)
  let delivered = 0
  const count = (): void => {
    delivered++
  }
  const made = await crowd.connectAll(pairs, (index) => connectPair(crowd, index, qos, count))
  for (const publisher of made) publisher.publisher.fill()
  const figures = await steady(broker, seconds, () => delivered)
  for (const { publisher } of made) publisher.limit = publisher.sent
  const sent = made.reduce((sum, { publisher }) => sum + publisher.sent, 0)
  await untilDone(
    () => delivered >= sent,
    () => delivered,
  )
  crowd.check()
  await crowd.leave()
  const faults = faultsOf(made.map(({ ledger, publisher }) => ({ ledger, sent: publisher.sent })))
  const wrongAcks = made.reduce((sum, { publisher }) => sum + publisher.wrongAcks, 0)
  return { ...figures, ...faultFigure(faults, wrongAcks) }
}

async function connectPair(crowd: Crowd, index: number, qos: Qos, count: () => void) {
  const topic = `bench/p2p/${index}`
  const pair: Pair = { publisher: null, ledger: new Ledger() }
  const refill = (): void => {
    pair.publisher?.fill()
  }
  const subscriber = await crowd.connect({
    clientId: `bench-sub-${index}`,
    receiver: {
      onPublish(bytes, payloadAt) {
        pair.ledger.take(sequenceAt(bytes, payloadAt))
        if (qos === 0 && pair.publisher !== null) pair.publisher.done++
        count()
      },
      ...(qos === 0 ? { onChunkEnd: refill } : {}),
    },
  })
  await subscriber.subscribe(topic, qos)
  const client = await crowd.connect({
    clientId: `bench-pub-${index}`,
    receiver: { onPuback: (packetId) => pair.publisher?.acknowledge(packetId), onChunkEnd: refill },
  })
  const publisher = new Publisher(client, { id: index, topic, qos, window })
  pair.publisher = publisher
  return { publisher, ledger: pair.ledger }
}
