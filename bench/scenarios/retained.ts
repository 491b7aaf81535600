// A hundred thousand retained messages: what it costs to set them, and to send them all to who subscribes `#`.
import type { RunningBroker } from '../brokers/broker.ts'
import { Crowd } from '../crowd.ts'
import { faultsOf, Ledger } from '../ledger.ts'
import { othersBusy, startMeter, type Usage, untilQuiet } from '../meter.ts'
import { publishTemplate } from '../mqtt-packets.ts'
import { untilDone } from '../pace.ts'
import { Publisher, payloadBytes, publisherAt, sequenceAt } from '../publisher.ts'
import { atMostTimes, type Figures, faultFigure, faultRow, mqttPeers, othersRow, type Scenario } from './scenario.ts'

const publishers = 20
const topicsEach = 5000
const total = publishers * topicsEach
const window = 50
const replays = 3

export const retained: Scenario = {
  name: 'retained',
  about: `${total.toLocaleString('en')} topics get a retained message of ${payloadBytes} B, QoS 1, from ${publishers} publishers (window ${window}); then ${replays} clients, one after the other, subscribe \`#\` with QoS 0 and get all. Writing behind is counted, until the broker is quiet again.`,
  rows: [
    { figure: 'setUs', label: 'set: CPU per message, broker and database in all', unit: 'µs', target: atMostTimes(2) },
    { figure: 'setBrokerUs', label: 'set: broker CPU per message', unit: 'µs' },
    { figure: 'setSeconds', label: 'set: until all were acknowledged', unit: 's' },
    { figure: 'replayUs', label: 'replay: CPU per message in all', unit: 'µs', target: atMostTimes(0.9) },
    { figure: 'replaySeconds', label: 'replay: until all had arrived', unit: 's' },
    { figure: 'storedBytes', label: 'resident memory of the broker per message', unit: 'B' },
    othersRow,
    faultRow,
  ],
  peers: mqttPeers,
  run,
}

async function run(broker: RunningBroker): Promise<Figures> {
  await untilQuiet(broker)
  const rssBefore = broker.rss()
  const { set, setSeconds } = await setAll(broker)
  const storedBytes = (broker.rss() - rssBefore) / total
  const ledgers: Ledger[] = []
  const stop = startMeter(broker)
  const startedAt = performance.now()
  for (let replay = 0; replay < replays; replay++) ledgers.push(...(await replayAll(broker, replay)))
  const replaySeconds = (performance.now() - startedAt) / 1000 / replays
  const replay = stop()
  await clearAll(broker)
  return {
    setUs: (set.brokerUs + set.databaseUs) / total,
    setBrokerUs: set.brokerUs / total,
    setSeconds,
    replayUs: (replay.brokerUs + replay.databaseUs) / total / replays,
    replaySeconds,
    storedBytes,
    othersBusy: othersBusy(set),
    ...faultFigure(faultsOf(ledgers.map((ledger) => ({ ledger, sent: topicsEach })))),
  }
}

const prefixOf = (publisher: number): string => `bench/retained/${String(publisher).padStart(2, '0')}/`

async function setAll(broker: RunningBroker): Promise<{ set: Usage; setSeconds: number }> {
  const crowd = new Crowd(broker)
  const made = await crowd.connectAll(publishers, (index) => connectPublisher(crowd, index))
  const acknowledged = (): number => made.reduce((sum, publisher) => sum + publisher.done, 0)
  const stop = startMeter(broker)
  const startedAt = performance.now()
  for (const publisher of made) publisher.fill()
  if (!(await untilDone(() => acknowledged() >= total, acknowledged, 10_000))) {
    throw new Error(`only ${acknowledged()} of ${total} were acknowledged`)
  }
  const setSeconds = (performance.now() - startedAt) / 1000
  await untilQuiet(broker)
  const set = stop()
  crowd.check()
  await crowd.leave()
  return { set, setSeconds }
}

async function connectPublisher(crowd: Crowd, index: number): Promise<Publisher> {
  const own: { publisher: Publisher | null } = { publisher: null }
  const client = await crowd.connect({
    clientId: `bench-pub-${index}`,
    receiver: {
      onPuback: (packetId) => own.publisher?.acknowledge(packetId),
      onChunkEnd: () => own.publisher?.fill(),
    },
  })
  const topic = `${prefixOf(index)}00000`
  const publisher = new Publisher(client, { id: index, topic, qos: 1, window, retain: true, numbered: true })
  publisher.limit = topicsEach
  own.publisher = publisher
  return publisher
}

/** In which order the topics come is the broker's choice, so the ledgers are told in order. */
async function replayAll(broker: RunningBroker, replay: number): Promise<Ledger[]> {
  const crowd = new Crowd(broker)
  const seen = Array.from({ length: publishers }, () => new Uint8Array(topicsEach))
  let received = 0
  const client = await crowd.connect({
    clientId: `bench-replay-${replay}`,
    receiver: {
      onPublish(bytes, payloadAt) {
        const times = seen[publisherAt(bytes, payloadAt)]
        const sequence = sequenceAt(bytes, payloadAt)
        if (times !== undefined) times[sequence] = (times[sequence] as number) + 1
        received++
      },
    },
  })
  await client.subscribe('#', 0)
  await untilDone(
    () => received >= total,
    () => received,
  )
  crowd.check()
  await crowd.leave()
  return seen.map(toLedger)
}

function toLedger(times: Uint8Array): Ledger {
  const ledger = new Ledger()
  for (const [sequence, count] of times.entries()) for (let i = 0; i < count; i++) ledger.take(sequence)
  return ledger
}

/** ClearBox would keep them for the next run. */
async function clearAll(broker: RunningBroker): Promise<void> {
  const crowd = new Crowd(broker)
  const own: { onAcknowledged: () => void } = { onAcknowledged: () => undefined }
  const client = await crowd.connect({ clientId: 'bench-clear', receiver: { onPuback: () => own.onAcknowledged() } })
  for (let publisher = 0; publisher < publishers; publisher++) {
    const acknowledged = new Promise<void>((resolve) => {
      own.onAcknowledged = resolve
    })
    const packets = Array.from({ length: topicsEach }, (_, index) => {
      const topic = `${prefixOf(publisher)}${String(index).padStart(5, '0')}`
      const qos = index === topicsEach - 1 ? 1 : 0
      return publishTemplate({ topic, qos, payloadBytes: 0, retain: true }).bytes
    })
    client.write(Buffer.concat(packets))
    await acknowledged
  }
  crowd.check()
  await crowd.leave()
  await untilQuiet(broker)
}
