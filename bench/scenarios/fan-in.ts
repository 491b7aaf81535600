// A hundred publishers, one subscriber.
import type { RunningBroker } from '../brokers/broker.ts'
import { Crowd } from '../crowd.ts'
import { faultsOf, Ledger } from '../ledger.ts'
import { steady } from '../meter.ts'
import type { Qos } from '../mqtt-packets.ts'
import { untilDone } from '../pace.ts'
import { Publisher, payloadBytes, publisherAt, sequenceAt } from '../publisher.ts'
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

const publishers = 100
const window = 20

/** `limit`: times the cost of Mosquitto. */
export function fanIn(qos: Qos, limit: number): Scenario {
  return {
    name: `fan-in-qos${qos}`,
    about: `${publishers} publishers → 1 subscriber, ${payloadBytes} B, QoS ${qos}, at saturation: up to ${window} per publisher have not yet been received.`,
    rows: [brokerCost(atMostTimes(limit)), ...steadyRows, faultRow],
    peers: mqttPeers,
    run: (broker, seconds) => run(broker, seconds, qos),
  }
}

async function run(broker: RunningBroker, seconds: number, qos: Qos): Promise<Figures> {
  const crowd = new Crowd(broker)
  const ledgers = Array.from({ length: publishers }, () => new Ledger())
  const made: Publisher[] = []
  let delivered = 0
  const subscriber = await crowd.connect({
    clientId: 'bench-sub',
    receiver: {
      onPublish(bytes, payloadAt) {
        const index = publisherAt(bytes, payloadAt)
        ledgers[index]?.take(sequenceAt(bytes, payloadAt))
        const publisher = made[index]
        if (publisher !== undefined) publisher.done++
        delivered++
      },
      onChunkEnd() {
        for (const publisher of made) publisher.fill()
      },
    },
  })
  await subscriber.subscribe('bench/fan-in/+', qos)
  made.push(...(await crowd.connectAll(publishers, (index) => connectPublisher(crowd, index, qos))))
  for (const publisher of made) publisher.fill()
  const figures = await steady(broker, seconds, () => delivered)
  for (const publisher of made) publisher.limit = publisher.sent
  const sent = made.reduce((sum, publisher) => sum + publisher.sent, 0)
  await untilDone(
    () => delivered >= sent,
    () => delivered,
  )
  crowd.check()
  await crowd.leave()
  return {
    ...figures,
    ...faultFigure(faultsOf(made.map(({ sent }, i) => ({ ledger: ledgers[i] ?? new Ledger(), sent })))),
  }
}

async function connectPublisher(crowd: Crowd, index: number, qos: Qos): Promise<Publisher> {
  const client = await crowd.connect({ clientId: `bench-pub-${index}` })
  return new Publisher(client, { id: index, topic: `bench/fan-in/${index}`, qos, window })
}
