// Retained messages for a new subscription, sent as the session has room.
import { ownPublication } from '../publication.ts'
import type { SubscriptionOptions } from '../routes.ts'
import type { Origin } from '../send-window.ts'
import type { Session } from '../session.ts'
import type { Retained } from '../stores.ts'
import { looseTopic } from '../topic-table.ts'
import type { Qos } from '../types.ts'

type Replayed = Readonly<{ filter: string; messages: IterableIterator<Retained>; options: SubscriptionOptions }>

/** A retained message has no place in a queue: its acknowledgement only frees the window. */
const nowhere: Origin = { repeatsUpTo: 0, acknowledged: () => undefined }

export class Replay {
  private readonly session: Session
  private waiting: Replayed[] = []
  /** Read, and met a session without room. */
  private next: Retained | null = null

  constructor(session: Session) {
    this.session = session
  }

  add(filter: string, messages: IterableIterator<Retained>, options: SubscriptionOptions): void {
    this.waiting.push({ filter, messages, options })
    this.pump()
  }

  /** The subscription is gone: what was not sent stays unsent. */
  remove(filter: string): void {
    if (this.waiting[0]?.filter === filter) this.next = null
    this.waiting = this.waiting.filter((replayed) => replayed.filter !== filter)
  }

  /** Sends until all is sent or the session has no room; then its next `onRoom` calls again. */
  pump(): void {
    for (let first = this.waiting[0]; first; first = this.waiting[0]) {
      while (this.session.subscriptions.has(first.filter)) {
        const retained = this.next ?? first.messages.next().value
        this.next = null
        if (!retained) break
        if (this.give(retained, first.options)) continue
        this.next = retained
        return
      }
      this.next = null
      this.waiting.shift()
    }
  }

  private give(
    { topic, payload, properties, qos, expiresAt }: Retained,
    { qos: granted, subscriptionId }: SubscriptionOptions,
  ): boolean {
    const publication = ownPublication(looseTopic(topic), payload, qos)
    publication.properties = properties
    publication.expiresAt = expiresAt ?? 0
    const subscriptionIds = subscriptionId > 0 ? [subscriptionId] : []
    // [MQTT-3.3.1-8] it was retained, so the flag is set.
    const out = { qos: Math.min(qos, granted) as Qos, retain: true, subscriptionIds }
    return this.session.offer({ publication, ...out, origin: nowhere, place: 0, stage: 'sent' })
  }
}
