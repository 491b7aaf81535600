// `$SYS`: what the broker says of itself, under Mosquitto's names and in its units. Memory only.
import type { Bus } from './bus.ts'
import type { Counters } from './metrics.ts'
import { ownPublication } from './publication.ts'
import type { RetainedMessages } from './retained.ts'
import type { Router } from './router.ts'
import type { Session } from './session.ts'
import type { TopicTable } from './topic-table.ts'

type Deps = Readonly<{
  topics: Pick<TopicTable, 'named'>
  bus: Pick<Bus, 'announce'>
  router: Pick<Router, 'groups'>
  retained: Pick<RetainedMessages, 'count' | 'bytes'>
  sessions: Readonly<{ all(): Iterable<Session> }>
  counters: Counters
  version: string
}>

export type SysTopics = Readonly<{
  /** `name` below `$SYS/broker/`. */
  say(name: string, value: string | number): void
  /** Says what has changed since the last time. */
  publish(): void
}>

/** Topic below `$SYS/broker/load/` → the counter whose growth per minute it shows. */
const loads: Readonly<Record<string, (counters: Counters) => number>> = {
  'messages/received': (counters) => counters.mqttPacketsReceived,
  'messages/sent': (counters) => counters.mqttPacketsSent,
  'publish/received': (counters) => counters.mqttMessagesReceived,
  'publish/sent': (counters) => counters.mqttMessagesSent,
  'publish/dropped': dropped,
  'bytes/received': (counters) => counters.mqttBytesReceived,
  'bytes/sent': (counters) => counters.mqttBytesSent,
  sockets: (counters) => counters.mqttSockets,
  connections: (counters) => counters.mqttConnects,
}
const minutes = [1, 5, 15] as const

export function createSysTopics(deps: Deps): SysTopics {
  const { topics, bus, counters, version } = deps
  const said = new Map<string, string>()
  const load = createLoad()
  const startedAt = performance.now()
  let [maxClients, maxHeap] = [0, 0]

  function say(name: string, value: string | number): void {
    const text = String(value)
    if (said.get(name) === text) return
    said.set(name, text)
    const publication = ownPublication(topics.named(`$SYS/broker/${name}`), Buffer.from(text), 0)
    publication.retain = true
    bus.announce(publication)
  }

  function sayClients(): void {
    const { connected, total, subscriptions, queued, queuedBytes } = countSessions(deps.sessions.all())
    maxClients = Math.max(maxClients, connected)
    for (const name of ['connected', 'active']) say(`clients/${name}`, connected)
    for (const name of ['disconnected', 'inactive']) say(`clients/${name}`, total - connected)
    say('clients/total', total)
    say('clients/maximum', maxClients)
    say('clients/expired', counters.sessionsExpired)
    say('subscriptions/count', subscriptions)
    say('shared_subscriptions/count', deps.router.groups())
    const kept = deps.retained.count()
    say('retained messages/count', kept)
    for (const name of ['messages/stored', 'store/messages/count']) say(name, kept + queued)
    say('store/messages/bytes', deps.retained.bytes() + queuedBytes)
  }

  function sayTraffic(): void {
    say('messages/received', counters.mqttPacketsReceived)
    say('messages/sent', counters.mqttPacketsSent)
    say('publish/messages/received', counters.mqttMessagesReceived)
    say('publish/messages/sent', counters.mqttMessagesSent)
    say('publish/messages/dropped', dropped(counters))
    say('bytes/received', counters.mqttBytesReceived)
    say('bytes/sent', counters.mqttBytesSent)
    for (const [name, value] of load(counters)) say(`load/${name}`, value)
  }

  return {
    say,
    publish() {
      say('version', `clearbox version ${version}`)
      say('uptime', `${Math.floor((performance.now() - startedAt) / 1000)} seconds`)
      const heap = process.memoryUsage().heapUsed
      maxHeap = Math.max(maxHeap, heap)
      say('heap/current', heap)
      say('heap/maximum', maxHeap)
      sayClients()
      sayTraffic()
    },
  }
}

function dropped({ mqttQos0Dropped, queueDropped }: Counters): number {
  return mqttQos0Dropped + queueDropped
}

/** Moving averages of what a minute brings, as Mosquitto has them: each look weighs by the time since the last. */
function createLoad(): (counters: Counters) => readonly (readonly [name: string, value: string])[] {
  let lookedAt = performance.now()
  const before = new Map<string, number>()
  const averages = new Map<string, number>()

  return (counters) => {
    const now = performance.now()
    const passed = Math.max(now - lookedAt, 1) / 60_000
    lookedAt = now
    return Object.entries(loads).flatMap(([name, read]) => {
      const value = read(counters)
      const perMinute = (value - (before.get(name) ?? 0)) / passed
      before.set(name, value)
      return minutes.map((span) => {
        const topic = `${name}/${span}min`
        const average = perMinute + Math.exp(-passed / span) * ((averages.get(topic) ?? 0) - perMinute)
        averages.set(topic, average)
        return [topic, average.toFixed(2)] as const
      })
    })
  }
}

function countSessions(sessions: Iterable<Session>) {
  const sum = { connected: 0, total: 0, subscriptions: 0, queued: 0, queuedBytes: 0 }
  for (const { transport, subscriptions, streams, queue } of sessions) {
    sum.total++
    if (transport !== null) sum.connected++
    sum.subscriptions += subscriptions.size + (streams?.count ?? 0)
    sum.queued += queue?.messages ?? 0
    sum.queuedBytes += queue?.bytes ?? 0
  }
  return sum
}
