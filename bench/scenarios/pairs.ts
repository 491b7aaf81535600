// Publishers, each with a subscriber of its own, as fast as a window allows.
import type { Crowd } from '../crowd.ts'
import { faultsOf, Ledger } from '../ledger.ts'
import { type Level, type Qos, someProperties } from '../mqtt-packets.ts'
import { untilDone } from '../pace.ts'
import { Publisher, payloadBytes, sequenceAt } from '../publisher.ts'
import { type Figures, faultFigure } from './scenario.ts'

export type PairOptions = Readonly<{
  /** Of topics and client ids. */
  name: string
  pairs: number
  qos: Qos
  /** Per pair: QoS 0 not yet received, QoS 1 and 2 not yet acknowledged to the publisher (PUBACK, PUBCOMP). */
  window: number
  bytes?: number
  /** MQTT 5 goes with properties. */
  level?: Level
  /** The subscribers' sessions outlive their connections. */
  persistent?: boolean
}>

export type Pairs = Readonly<{
  delivered(): number
  /** All publishers send until `halt`. */
  go(): void
  /** Nothing is sent any more; waits for what is under way. */
  halt(): Promise<void>
  faults(): Figures
}>

type Pair = Readonly<{ publisher: Publisher; ledger: Ledger }>
type Count = { delivered: number }

export async function connectPairs(crowd: Crowd, options: PairOptions): Promise<Pairs> {
  const count: Count = { delivered: 0 }
  const made = await crowd.connectAll(options.pairs, (index) => connectPair(crowd, index, options, count))
  const sent = (): number => made.reduce((sum, { publisher }) => sum + publisher.sent, 0)
  return {
    delivered: () => count.delivered,
    go() {
      for (const { publisher } of made) {
        publisher.limit = Number.POSITIVE_INFINITY
        publisher.fill()
      }
    },
    async halt() {
      for (const { publisher } of made) publisher.limit = publisher.sent
      await untilDone(
        () => count.delivered >= sent(),
        () => count.delivered,
      )
    },
    faults() {
      const wrongAcks = made.reduce((sum, { publisher }) => sum + publisher.wrongAcks, 0)
      return faultFigure(faultsOf(made.map(({ ledger, publisher }) => ({ ledger, sent: publisher.sent }))), wrongAcks)
    },
  }
}

export const subscriberId = (name: string, index: number): string => `bench-sub-${name}-${index}`

async function connectPair(crowd: Crowd, index: number, options: PairOptions, count: Count): Promise<Pair> {
  const { name, qos, window, bytes = payloadBytes, level = 4, persistent = false } = options
  const topic = `bench/${name}/${index}`
  const ledger = new Ledger()
  const own: { publisher: Publisher | null } = { publisher: null }
  const refill = (): void => {
    own.publisher?.fill()
  }
  const subscriber = await crowd.connect({
    clientId: subscriberId(name, index),
    account: index,
    clean: !persistent,
    level,
    receiver: {
      onPublish(chunk, payloadAt) {
        ledger.take(sequenceAt(chunk, payloadAt))
        if (qos === 0 && own.publisher !== null) own.publisher.done++
        count.delivered++
      },
      ...(qos === 0 ? { onChunkEnd: refill } : {}),
    },
  })
  await subscriber.subscribe(topic, qos)
  const client = await crowd.connect({
    clientId: `bench-pub-${name}-${index}`,
    level,
    receiver: { onPuback: (packetId) => own.publisher?.acknowledge(packetId), onChunkEnd: refill },
  })
  const properties = level === 5 ? someProperties : null
  const publisher = new Publisher(client, { id: index, topic, qos, window, bytes, properties })
  publisher.limit = 0
  own.publisher = publisher
  return { publisher, ledger }
}
