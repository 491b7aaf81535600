// Messages for sessions that are away, then the sessions come back for them.
import type { RunningBroker } from '../brokers/broker.ts'
import { Crowd } from '../crowd.ts'
import { type Faults, faultsOf, Ledger } from '../ledger.ts'
import { othersBusy, startMeter, type Usage, untilQuiet } from '../meter.ts'
import { untilDone } from '../pace.ts'
import { Publisher, payloadBytes, sequenceAt } from '../publisher.ts'
import {
  atMost,
  atMostTimes,
  type Figures,
  faultFigure,
  faultRow,
  mqttPeers,
  othersRow,
  type Scenario,
} from './scenario.ts'

const sessions = 100
const perSession = 1000
const window = 20
const total = sessions * perSession

export const offline: Scenario = {
  name: 'offline',
  about: `${sessions} persistent sessions are away while ${perSession} messages of ${payloadBytes} B, QoS 1, are published to each (window ${window}); then they connect and take them. ClearBox has them on disk before it acknowledges, the others in memory only. Writing behind is counted, until the broker is quiet again.`,
  rows: [
    { figure: 'queueUs', label: 'queue: CPU per message in all', unit: 'µs', target: atMostTimes(2.5) },
    { figure: 'queueBrokerUs', label: 'queue: broker CPU per message', unit: 'µs', target: atMostTimes(1.2) },
    { figure: 'queueDatabaseUs', label: 'queue: database CPU per message', unit: 'µs' },
    { figure: 'queueSeconds', label: 'queue: until all were acknowledged', unit: 's' },
    { figure: 'queueBytes', label: 'queue: resident memory of the broker per message', unit: 'B', target: atMost(600) },
    { figure: 'drainUs', label: 'drain: CPU per message in all', unit: 'µs', target: atMostTimes(3.5) },
    { figure: 'drainBrokerUs', label: 'drain: broker CPU per message', unit: 'µs', target: atMostTimes(1.5) },
    { figure: 'drainDatabaseUs', label: 'drain: database CPU per message', unit: 'µs' },
    { figure: 'drainSeconds', label: 'drain: until all had arrived', unit: 's' },
    othersRow,
    faultRow,
  ],
  peers: mqttPeers,
  run,
}

async function run(broker: RunningBroker): Promise<Figures> {
  await visit(broker, false)
  const rssBefore = broker.rss()
  const { queue, queueSeconds, wrongAcks } = await fillQueues(broker)
  const queueBytes = (broker.rss() - rssBefore) / total
  const { drain, drainSeconds, faults } = await drainQueues(broker)
  await visit(broker, true)
  return {
    queueSeconds,
    queueBytes,
    queueUs: (queue.brokerUs + queue.databaseUs) / total,
    queueBrokerUs: queue.brokerUs / total,
    queueDatabaseUs: queue.databaseUs / total,
    drainSeconds,
    drainUs: (drain.brokerUs + drain.databaseUs) / total,
    drainBrokerUs: drain.brokerUs / total,
    drainDatabaseUs: drain.databaseUs / total,
    othersBusy: othersBusy(queue),
    ...faultFigure(faults, wrongAcks),
  }
}

/** Makes the sessions and leaves; with `clean` it ends them. */
async function visit(broker: RunningBroker, clean: boolean): Promise<void> {
  const crowd = new Crowd(broker)
  await crowd.connectAll(sessions, async (index) => {
    const client = await crowd.connect({ clientId: `bench-away-${index}`, clean })
    if (!clean) await client.subscribe(`bench/offline/${index}`, 1)
  })
  await crowd.leave()
  await untilQuiet(broker)
}

async function fillQueues(broker: RunningBroker): Promise<{ queue: Usage; queueSeconds: number; wrongAcks: number }> {
  const crowd = new Crowd(broker)
  const publishers = await crowd.connectAll(sessions, (index) => connectPublisher(crowd, index))
  const acknowledged = (): number => publishers.reduce((sum, publisher) => sum + publisher.done, 0)
  const stop = startMeter(broker)
  const startedAt = performance.now()
  for (const publisher of publishers) publisher.fill()
  if (!(await untilDone(() => acknowledged() >= total, acknowledged, 10_000))) {
    throw new Error(`only ${acknowledged()} of ${total} were acknowledged`)
  }
  const queueSeconds = (performance.now() - startedAt) / 1000
  await untilQuiet(broker)
  const queue = stop()
  crowd.check()
  await crowd.leave()
  return { queue, queueSeconds, wrongAcks: publishers.reduce((sum, { wrongAcks }) => sum + wrongAcks, 0) }
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
  const publisher = new Publisher(client, { id: index, topic: `bench/offline/${index}`, qos: 1, window })
  publisher.limit = perSession
  own.publisher = publisher
  return publisher
}

async function drainQueues(broker: RunningBroker): Promise<{ drain: Usage; drainSeconds: number; faults: Faults }> {
  const crowd = new Crowd(broker)
  const ledgers = Array.from({ length: sessions }, () => new Ledger())
  const received = (): number => ledgers.reduce((sum, ledger) => sum + ledger.received, 0)
  const stop = startMeter(broker)
  const startedAt = performance.now()
  await crowd.connectAll(sessions, (index) =>
    crowd.connect({
      clientId: `bench-away-${index}`,
      clean: false,
      receiver: { onPublish: (bytes, payloadAt) => ledgers[index]?.take(sequenceAt(bytes, payloadAt)) },
    }),
  )
  await untilDone(() => received() >= total, received, 5000)
  const drainSeconds = (performance.now() - startedAt) / 1000
  await crowd.leave()
  await untilQuiet(broker)
  crowd.check()
  return { drain: stop(), drainSeconds, faults: faultsOf(ledgers.map((ledger) => ({ ledger, sent: perSession }))) }
}
