// One publisher, five hundred subscribers.
import type { RunningBroker } from '../brokers/broker.ts'
import { Crowd } from '../crowd.ts'
import { faultsOf, Ledger } from '../ledger.ts'
import { steady } from '../meter.ts'
import { untilDone } from '../pace.ts'
import { Publisher, payloadBytes, sequenceAt } from '../publisher.ts'
import { brokerCost, type Figures, faultFigure, faultRow, type Scenario, steadyRows } from './scenario.ts'

const subscribers = 500
const window = 64
const topic = 'bench/fan-out'

export const fanOut: Scenario = {
  name: 'fan-out',
  about: `1 publisher → ${subscribers} subscribers, ${payloadBytes} B, QoS 0, at saturation: up to ${window} messages have not yet reached every subscriber.`,
  rows: [brokerCost({ of: 'ratio', limit: 0.5 }), ...steadyRows, faultRow],
  run,
}

async function run(broker: RunningBroker, seconds: number): Promise<Figures> {
  const crowd = new Crowd(broker)
  const publisher = new Publisher(await crowd.connect({ clientId: 'bench-pub' }), { id: 0, topic, qos: 0, window })
  publisher.limit = 0
  const tally = new Tally(publisher)
  const ledgers = await crowd.connectAll(subscribers, (index) => connectSubscriber(crowd, index, tally))
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

async function connectSubscriber(crowd: Crowd, index: number, tally: Tally): Promise<Ledger> {
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
  await client.subscribe(topic, 0)
  return ledger
}
