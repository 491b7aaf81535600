// What a connection that does nothing keeps in memory.
import type { RunningBroker } from '../brokers/broker.ts'
import { Crowd } from '../crowd.ts'
import { untilQuiet } from '../meter.ts'
import { atMost, atMostTimes, type Figures, mqttPeers, type Scenario } from './scenario.ts'

const before = 500
const connections = 4000

export const idle: Scenario = {
  name: 'idle',
  about: `${connections} clients connect, each with one subscription, on top of ${before} that are connected already (so that what a runtime takes once is not counted), and stay silent. Resident memory of the broker process.`,
  rows: [
    { figure: 'idleKib', label: 'resident memory per connection', unit: 'KiB', target: atMost(8) },
    { figure: 'connectUs', label: 'broker CPU per CONNECT + SUBSCRIBE', unit: 'µs', target: atMostTimes(4) },
    { figure: 'rssMib', label: 'resident memory in all', unit: 'MiB' },
  ],
  peers: mqttPeers,
  run,
}

async function run(broker: RunningBroker): Promise<Figures> {
  const crowd = new Crowd(broker)
  await connectIdle(crowd, before, 'bench-first')
  await untilQuiet(broker)
  const rssBefore = broker.rss()
  const cpuBefore = broker.cpu()
  await connectIdle(crowd, connections, 'bench-idle')
  const cpu = broker.cpu()
  await untilQuiet(broker)
  const rss = broker.rss()
  crowd.check()
  await crowd.leave()
  return {
    idleKib: (rss - rssBefore) / 1024 / connections,
    connectUs: (cpu.brokerUs - cpuBefore.brokerUs) / connections,
    rssMib: rss / 1024 / 1024,
  }
}

async function connectIdle(crowd: Crowd, count: number, prefix: string): Promise<void> {
  await crowd.connectAll(count, async (index) => {
    const client = await crowd.connect({ clientId: `${prefix}-${index}` })
    await client.subscribe(`bench/idle/${prefix}/${index}`, 0)
  })
}
