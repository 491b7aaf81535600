// Hot path (bench: p2p): publishes on topics with shared subscriptions. MQTT 5 §4.8.2; decision 0015
import { durable, type Waiter } from './durable.ts'
import type { BrokerError } from './errors.ts'
import { ownPublication, type Publication } from './publication.ts'
import type { Queue } from './queue.ts'
import type { SharedGroup } from './routes.ts'
import type { Receipt, ReceiptSink } from './types.ts'

/** Several commits, of which each must be there before the publisher is acknowledged. */
export class Together implements ReceiptSink {
  private left = 1
  private readonly waiter: Waiter

  constructor(waiter: Waiter) {
    this.waiter = waiter
  }

  add(): Waiter {
    this.left++
    return { sink: this, token: 0 }
  }

  settle(_token: number, outcome: Receipt | BrokerError): void {
    if (this.left === 0) return
    this.left = outcome === durable ? this.left - 1 : 0
    if (this.left === 0) this.waiter?.sink.settle(this.waiter.token, outcome)
  }
}

/**
 * Gives the publication to one member of the group. True: it is in that member's queue, and `waiter` is told of the commit.
 * It has a position of its own there, and so a body that no other reference needs.
 */
export function giveToGroup(
  { nextPosition, enqueue }: Pick<Queue, 'nextPosition' | 'enqueue'>,
  group: SharedGroup,
  publication: Publication,
  waiter: Waiter,
): boolean {
  const target = group.choose(publication)
  if (target === null) return false
  const isQueued = target.recipient.persistent && Math.min(target.qos, publication.qos) > 0
  const position = isQueued ? nextPosition() : 0
  target.recipient.deliver(publication, target, position)
  if (isQueued) enqueue(publication, position, [target], null, waiter)
  return isQueued
}

/** Gives each group its own copy, because each lingers for itself. */
export function giveToGroups(
  queue: Pick<Queue, 'nextPosition' | 'enqueue'>,
  groups: readonly SharedGroup[],
  publication: Publication,
  together: Together,
): void {
  for (const group of groups) {
    const waiter = together.add()
    if (!giveToGroup(queue, group, copyOf(publication), waiter)) together.settle(0, durable)
  }
}

/** `retain` and the packet id of its publisher are kept with the original. */
function copyOf(publication: Publication): Publication {
  const { topic, payload, qos, retain, properties, expiresAt, publisher } = publication.kept()
  const copy = ownPublication(topic, payload, qos)
  copy.retain = retain
  copy.properties = properties
  copy.expiresAt = expiresAt
  copy.publisher = publisher
  return copy
}
