// Traffic that others should not slow down: those who are merely subscribed, and those who come and go.
import { setTimeout as sleep } from 'node:timers/promises'
import type { Crowd } from '../crowd.ts'
import type { MqttClient } from '../mqtt-client.ts'
import { compare, comparisonRows, plainPairs } from './comparison.ts'
import { type Figures, mqttPeers, type Scenario } from './scenario.ts'

const holders = 100
const topicsEach = 1000
const changers = 50
const perSecond = 1000

const traffic = `${plainPairs.pairs} publishers → ${plainPairs.pairs} subscribers, QoS 0, window ${plainPairs.window}`

export const others: Scenario = {
  name: 'p2p-100k-others',
  about: `${traffic}, without and with ${(holders * topicsEach).toLocaleString('en')} other subscriptions, one in ten with a wildcard, of ${holders} other clients.`,
  rows: comparisonRows('without', 'with', 1.1),
  peers: mqttPeers,
  run: (broker, seconds) =>
    compare(broker, seconds, {
      async begin(crowd) {
        await crowd.connectAll(holders, (index) => holdTopics(crowd, index))
        return { stop: async () => ({}) }
      },
    }),
}

async function holdTopics(crowd: Crowd, holder: number): Promise<void> {
  const client = await crowd.connect({ clientId: `bench-holder-${holder}` })
  const topics = Array.from(
    { length: topicsEach },
    (_, index) => `bench/held/${holder}/${index}/${index % 10 === 0 ? '+' : 'value'}`,
  )
  for (let first = 0; first < topicsEach; first += 100) await client.subscribe(topics.slice(first, first + 100), 0)
}

export const churn: Scenario = {
  name: 'p2p-churn',
  about: `${traffic}, without and with ${changers} other clients that subscribe and unsubscribe topics of their own, every other one a wildcard, ${perSecond} times per second in all. What that costs is counted.`,
  rows: [
    ...comparisonRows('without', 'with', 1.2),
    { figure: 'changes', label: 'subscribe + unsubscribe, as reached', unit: '/s' },
  ],
  peers: mqttPeers,
  run: (broker, seconds) => compare(broker, seconds, { begin: beginChurn }),
}

async function beginChurn(crowd: Crowd): Promise<{ stop(): Promise<Figures> }> {
  const state = { going: true, changes: 0 }
  const startedAt = performance.now()
  const clients = await crowd.connectAll(changers, (index) => crowd.connect({ clientId: `bench-changer-${index}` }))
  const loops = clients.map((client, index) => change(client, index, state))
  return {
    async stop() {
      state.going = false
      await Promise.all(loops)
      return { changes: state.changes / ((performance.now() - startedAt) / 1000) }
    },
  }
}

async function change(client: MqttClient, index: number, state: { going: boolean; changes: number }): Promise<void> {
  const stepMs = (changers / perSecond) * 1000
  let dueAt = performance.now() + (stepMs * index) / changers
  for (let round = 0; state.going; round++) {
    await sleep(Math.max(0, dueAt - performance.now()))
    dueAt += stepMs
    const topic = `changed/${index}/${round}${round % 2 === 0 ? '' : '/+'}`
    await client.subscribe(topic, 0)
    await client.unsubscribe(topic)
    state.changes++
  }
}
