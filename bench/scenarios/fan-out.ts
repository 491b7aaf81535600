// One publisher, five hundred subscribers.
import type { RunningBroker } from '../brokers/broker.ts'
import { Crowd } from '../crowd.ts'
import { faultsOf, Ledger } from '../ledger.ts'
import { steady } from '../meter.ts'
import type { Qos } from '../mqtt-packets.ts'
import { untilDone } from '../pace.ts'
import { Publisher, payloadBytes, sequenceAt } from '../publisher.ts'
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

const subscribers = 500
const window = 64
const topic = 'bench/fan-out'

/** `limit`: times the cost of Mosquitto. */
export function fanOut(qos: Qos, limit: number): Scenario {
  return {
    name: `fan-out-qos${qos}`,
    about: `1 publisher → ${subscribers} subscribers, ${payloadBytes} B, QoS ${qos}, at saturation: up to ${window} messages have not yet reached every subscriber.`,
    rows: [brokerCost(atMostTimes(limit)), ...steadyRows, faultRow],
    peers: mqttPeers,
    run: (broker, seconds) => run(broker, seconds, qos),
  }
}

async function run(broker: RunningBroker, seconds: number, qos: Qos): Promise<Figures> {
  const crowd = new Crowd(broker)
  const publisher = new Publisher(await crowd.connect({ clientId: 'bench-pub' }), { id: 0, topic, qos, window })
  publisher.limit = 0
  const tally = new Tally(publisher)
  const ledgers = await crowd.connectAll(subscribers, (index) => connectSubscriber(crowd, index, qos, tally))
  publisher.limit = Number.POSITIVE_INFINITY
  publisher.fill()
  const figures = await steady(broker, seconds, () => tally.delivered)
  publisher.limit = publisher.sent
  await untilDone(
    () => tally.delivered >= publisher.sent * subscribers,
    () => tally.delivered,
  )
  crowd.check()
  await crowd.leave()
  return { ...figures, ...faultFigure(faultsOf(ledgers.map((ledger) => ({ ledger, sent: publisher.sent })))) }
}

/** Counts arrivals per message of the window; one that has reached everybody makes room for the next. */
class Tally {
  readonly #publisher: Publisher
  readonly #arrivals = new Uint16Array(window)
  delivered = 0

  constructor(publisher: Publisher) {
    this.#publisher = publisher
  }

  take(sequence: number): void {
    this.delivered++
    const slot = sequence % window
    const arrivals = (this.#arrivals[slot] as number) + 1
    this.#arrivals[slot] = arrivals === subscribers ? 0 : arrivals
    if (arrivals === subscribers) this.#publisher.done++
  }

  refill(): void {
    if (this.#publisher.sent - this.#publisher.done <= window / 2) this.#publisher.fill()
  }
}

async function connectSubscriber(crowd: Crowd, index: number, qos: Qos, tally: Tally): Promise<Ledger> {
  const ledger = new Ledger()
  const client = await crowd.connect({
    clientId: `bench-sub-${index}`,
    receiver: {
      onPublish(bytes, payloadAt) {
        const sequence = sequenceAt(bytes, payloadAt)
        ledger.take(sequence)
        tally.take(sequence)
      },
      onChunkEnd: () => tally.refill(),
    },
  })
  await client.subscribe(topic, qos)
  return ledger
}
