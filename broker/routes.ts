// What the bus, the router and the sessions say to each other. Types only.
import type { Publication } from './publication.ts'
import type { TopicKind } from './topic.ts'
import type { Qos } from './types.ts'

export type SubscriptionOptions = Readonly<{
  qos: Qos
  noLocal: boolean
  retainAsPublished: boolean
  /** 0: none. */
  subscriptionId: number
}>

/** Where a plain publication goes. */
export interface Recipient {
  /** Has a queue in the store; never changes while it has subscriptions. */
  readonly persistent: boolean
  /** The session's number in the store; 0 when it is not persistent. */
  readonly id: number
  /**
   * Takes a publication that is only lent for the call (`publication.kept()` to keep it). `position` is its place in the
   * session's queue, 0 when it is not queued. Returns at once and never throws.
   */
  deliver(publication: Publication, target: Target, position: number): void
  /** The publication that it was just given went out, so that its acknowledgement will tell (`Publication.lingering`). */
  hasSent(position: number): boolean
  readonly isOnline: boolean
  /** What it is given goes out at once. */
  hasRoomFor(qos: Qos): boolean
  /** Its groups are to feed it as soon as it has room. */
  wantRoom(): void
  joinShare(group: SharedGroup): void
  leaveShare(group: SharedGroup): void
}

/** The members of one `$share/{name}/{filter}`. */
export interface SharedGroup {
  /**
   * The member whose turn it is for the publication, of those that have room; else one that is online and queues, else one
   * that is away and queues. Null: it waits in memory for a member, or nobody can take it.
   */
  choose(publication: Publication): Target | null
  /** The same among those that have a queue in the store. */
  chooseKeeping(qos: 1 | 2): Target | null
  /** The member may have room: it is given what waits. */
  feed(recipient: Recipient): void
  /** Takes out what waits, to be given anew. */
  takeWaiting(): readonly Publication[]
}

/** One recipient of a topic, whatever the number of its matching filters (overlaps deliver once). */
export type Target = Readonly<{
  recipient: Recipient
  qos: Qos
  /** Every matching subscription is No Local. */
  noLocal: boolean
  retainAsPublished: boolean
  subscriptionIds: readonly number[]
  /** The shared subscription that it was chosen for; empty: none. */
  share: string
}>

/**
 * `targets` for live delivery; `queued` are those among them that keep QoS 1 and 2 messages in the queue store. Of each
 * group in `shared` one member gets the message.
 */
export type Route = Readonly<{
  targets: readonly Target[]
  queued: readonly Target[]
  shared: readonly SharedGroup[]
}>

/** One known topic, interned: compared by identity. `generation` tells whether the table still knows this one. */
export type Topic = {
  readonly name: string
  readonly bytes: Buffer
  readonly kind: TopicKind
  readonly generation: number
  /** Of its first level (`slotOf`). */
  readonly slot: number
  /** Good while the router's epochs of `slot` are not beyond `routeEpoch`. */
  route: Route | null
  routeEpoch: number
}
