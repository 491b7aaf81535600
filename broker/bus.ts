// Hot path (bench: p2p, fan-out): publish of plain topics, for every border.
import { durable, type Waiter } from './durable.ts'
import { BrokerError } from './errors.ts'
import type { Counters } from './metrics.ts'
import type { Publication } from './publication.ts'
import type { Queue } from './queue.ts'
import type { RetainedMessages } from './retained.ts'
import type { Router } from './router.ts'
import type { Route, Target } from './routes.ts'
import { giveToGroup, giveToGroups, Together } from './shared-bus.ts'
import type { Retained } from './stores.ts'
import type { ReceiptSink } from './types.ts'

export type Bus = Readonly<{
  /**
   * Routes a publication that is lent for this call. Settles the receipt when it is durable: at once when no persistent
   * session queues it, it is not retained, and its packet id need not be kept, else at the commit. It never waits for a subscriber. QoS 0 has no receipt:
   * its token is -1.
   */
  publish(publication: Publication, sink: ReceiptSink, token: number): void
  /** Routes what the broker says of itself, at QoS 0; what is retained of it is in memory only. */
  announce(publication: Publication): void
}>

export function createBus(
  deps: Readonly<{ router: Router; queue: Queue; retained: RetainedMessages; counters: Counters }>,
): Bus {
  const { router, queue, retained, counters } = deps

  function publish(publication: Publication, sink: ReceiptSink, token: number): void {
    const route = router.route(publication.topic)
    if (route.shared.length > 0) publishShared(route, publication, sink, token)
    else publishTo(route, publication, sink, token)
  }

  function publishTo(route: Route, publication: Publication, sink: ReceiptSink, token: number): void {
    if (publication.qos === 0 && !publication.retain) {
      deliver(route, publication, 0)
    } else if (!publication.retain && route.queued.length === 0 && publication.received === null) {
      deliver(route, publication, 0)
      sink.settle(token, durable)
    } else {
      publishDurably(route, publication, sink, token)
    }
  }

  /** The groups come first: once the packet id of a QoS 2 publish is in the store, a repeat is given to nobody. */
  function publishShared(route: Route, publication: Publication, sink: ReceiptSink, token: number): void {
    const [group, another] = route.shared
    const isAlone = route.targets.length === 0 && !publication.retain && publication.received === null
    if (group !== undefined && another === undefined && isAlone) {
      const waiter: Waiter = publication.qos > 0 ? { sink, token } : null
      const isQueued = giveToGroup(queue, group, publication, waiter)
      if (!isQueued && waiter !== null) sink.settle(token, durable)
      return
    }
    // What is refused is given to nobody.
    if (publication.retain && !retained.set(toRetained(publication))) {
      refuseRetained(sink, token)
      return
    }
    const together = new Together(publication.qos > 0 ? { sink, token } : null)
    giveToGroups(queue, route.shared, publication, together)
    publishTo(route, publication, together, 0)
  }

  function publishDurably(route: Route, publication: Publication, sink: ReceiptSink, token: number): void {
    const keep = publication.retain ? toRetained(publication) : null
    if (keep !== null && !retained.set(keep)) {
      refuseRetained(sink, token)
      return
    }
    const waiter: Waiter = publication.qos > 0 ? { sink, token } : null
    const queued = publication.qos > 0 ? withoutPublisher(route.queued, publication) : []
    const position = queued.length > 0 ? queue.nextPosition() : 0
    deliver(route, publication, position)
    if (queued.length > 0) queue.enqueue(publication, position, queued, keep, waiter)
    else if (keep !== null || publication.received !== null) queue.keep(keep, publication.received, waiter)
    else sink.settle(token, durable)
  }

  function refuseRetained(sink: ReceiptSink, token: number): void {
    counters.limitRetained++
    if (token >= 0) sink.settle(token, new BrokerError('quota', 'The store of retained messages is full.'))
  }

  function announce(publication: Publication): void {
    if (publication.retain) retained.set(toRetained(publication))
    const route = router.route(publication.topic)
    if (route.shared.length > 0) giveToGroups(queue, route.shared, publication, new Together(null))
    deliver(route, publication, 0)
  }

  return { publish, announce }
}

function deliver(route: Route, publication: Publication, position: number): void {
  const targets = route.targets
  for (let i = 0; i < targets.length; i++) {
    const target = targets[i] as (typeof targets)[number]
    target.recipient.deliver(publication, target, position)
  }
}

function toRetained(publication: Publication): Retained {
  const { topic, payload, properties, qos, expiresAt } = publication.kept()
  return { topic: topic.name, payload, properties, qos, expiresAt: expiresAt || null }
}

/** No Local [MQTT-3.8.3-3]. */
function withoutPublisher(targets: readonly Target[], { publisher }: Publication): readonly Target[] {
  if (publisher === null || !publisher.persistent) return targets
  return targets.filter(({ noLocal, recipient }) => !noLocal || recipient !== publisher)
}
