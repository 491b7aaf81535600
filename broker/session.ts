// Hot path (bench: p2p, fan-out): one MQTT session and what it is owed.
import { Backlog } from './backlog.ts'
import type { Limits } from './limits.ts'
import type { Counters } from './metrics.ts'
import type { Rights } from './policy.ts'
import type { Publication } from './publication.ts'
import type { Queue } from './queue.ts'
import { QueueCursor, type QueuedOut } from './queue-cursor.ts'
import { ReceivedPackets } from './received-packets.ts'
import { Releases } from './releases.ts'
import type { Recipient, SharedGroup, SubscriptionOptions, Target } from './routes.ts'
import {
  forgettable,
  forgettable2,
  type InFlight,
  maxWindowId,
  type Origin,
  packetIdOf,
  SendWindow,
} from './send-window.ts'
import type { SessionDevice, SessionIdentity, StreamState } from './session-parts.ts'
import type { StoredWill } from './stores.ts'
import type { Outgoing, Transport } from './transport.ts'
import type { Qos } from './types.ts'

/** Reads on for a session that is behind: from its queue in the store. */
export type ReadOn = (session: Session, queue: QueueCursor) => void

export type SessionDeps = Readonly<{
  limits: Limits
  counters: Counters
  queue: Pick<Queue, 'release'>
  readOn: ReadOn
}>

/** Key of a session: nobody takes over another account's (DESIGN §3). */
export const sessionKey = (account: number, clientId: string) => `${account}/${clientId}`

const noIds: readonly number[] = []
const nothing = () => undefined
const noGroups: readonly SharedGroup[] = []
/** A message of a clean session has no place: its acknowledgement only frees the window. */
const nowhere: Origin = { repeatsUpTo: 0, acknowledged: nothing }

/**
 * Subscriptions, the send window, and what waits. A persistent session reads messages of QoS 1 and 2 from its queue in the
 * store whenever it could not take one live; a clean one has a bounded backlog in memory.
 */
export class Session implements Recipient, Origin {
  /** 0 for anonymous. */
  readonly account: number
  readonly accountName: string
  readonly clientId: string
  /** Number and fencing epoch in the store; 0 when not persistent. */
  readonly id: number
  epoch: number
  expiryInterval: number
  /** Milliseconds since 1970; null while connected. */
  disconnectedAt: number | null = null
  readonly subscriptions = new Map<string, SubscriptionOptions>()
  streams: StreamState | null = null
  device: SessionDevice | null = null
  /** Of its last connection since the start of the broker. */
  rights: Rights | null = null
  /** Of the connection that it has, or of the last one when it was lost and the Will is not sent yet. */
  will: StoredWill | null = null
  /** When the Will is sent unless the client comes back, milliseconds since 1970; null: the connection is not lost. */
  willDueAt: number | null = null
  /** The connection that the session was opened for; it is attached a moment later. */
  owner: Transport | null = null
  /** The attached connection. */
  transport: Transport | null = null
  /** Null: a clean session has no queue in the store. */
  readonly queue: QueueCursor | null
  /** Called when there is room again, before the queue is read. */
  onRoom: () => void = nothing
  /** The shared subscriptions that it is a member of. */
  groups = noGroups
  /** Its state differs from what the store has. */
  dirty = false
  private backlog: Backlog
  private readonly deps: SessionDeps
  private lazyWindow: SendWindow | null = null
  private lazyReleases: Releases | null = null
  private lazyReceived: ReceivedPackets | null = null
  private windowLimit: number
  private packetIdBase = 0
  /** Somebody waits for room. */
  private wanting = false

  constructor(deps: SessionDeps, identity: SessionIdentity) {
    this.deps = deps
    this.account = identity.account
    this.accountName = identity.accountName
    this.clientId = identity.clientId
    this.id = identity.id
    this.epoch = identity.epoch
    this.expiryInterval = identity.expiryInterval
    this.queue = identity.id > 0 ? new QueueCursor() : null
    this.windowLimit = deps.limits.sendWindow
    this.backlog = new Backlog(deps.limits.cleanQueueMessages, deps.limits.cleanQueueBytes)
  }

  /** Of its queue; the store had what an earlier run of the broker knew. */
  get repeatsUpTo(): number {
    return this.queue === null ? 0 : this.queue.dupUpTo
  }

  /** What of its queue is in flight, in the order of sending. */
  get inFlight(): readonly (readonly [position: number, packetId: number])[] {
    return [...(this.lazyWindow?.inFlightOf(this) ?? []), ...(this.queue?.formerAhead ?? [])]
  }

  get persistent(): boolean {
    return this.queue !== null
  }

  private get window(): SendWindow {
    this.lazyWindow ??= new SendWindow(this.deps.limits.sendWindow, this.packetIdBase)
    this.lazyWindow.limit = this.windowLimit
    return this.lazyWindow
  }

  private get releases(): Releases {
    this.lazyReleases ??= new Releases({
      window: this.window,
      session: this,
      queue: this.deps.queue,
      send: (packetId) => this.transport?.release(packetId),
      end: ({ mqtt }) => this.transport?.close(mqtt),
      onRoom: () => {
        if (this.wanting) this.advance()
      },
    })
    return this.lazyReleases
  }

  /** The QoS 2 publishes of its client. */
  get received(): ReceivedPackets {
    this.lazyReceived ??= new ReceivedPackets([])
    return this.lazyReceived
  }

  set received(packets: ReceivedPackets) {
    this.lazyReceived = packets
  }

  /** A connection takes the session: what was in flight goes out again with its packet ids, then what waits. */
  attach(transport: Transport, receiveMaximum: number): void {
    this.transport = transport
    this.disconnectedAt = null
    this.windowLimit = Math.min(receiveMaximum, this.deps.limits.sendWindow)
    this.lazyWindow?.reopen(this.windowLimit)
    if (this.queue !== null && this.queue.tail > this.queue.cursor) this.queue.fallBehind()
    this.wanting = true
    this.advance()
  }

  /** Packet ids from now on are none that its client may know from an earlier run of the broker. */
  renewPacketIds(): void {
    const { sendWindow } = this.deps.limits
    const ranges = Math.floor(maxWindowId / sendWindow)
    const former = [...(this.queue?.former.values() ?? [])]
    const isTaken = (base: number) => former.some((id) => id > base && id <= base + sendWindow)
    // Each connection raised the epoch, so it differs from run to run.
    let range = this.epoch % ranges
    while (isTaken(range * sendWindow)) range = (range + 1) % ranges
    this.packetIdBase = range * sendWindow
  }

  detach(): void {
    this.owner = null
    this.transport = null
    this.onRoom = nothing
    this.streams?.close()
    this.disconnectedAt = Date.now()
    this.dirty = this.persistent
  }

  /** It has ended: a cached route may know it for a while, but nothing of what it had stays. */
  drop(): void {
    this.subscriptions.clear()
    this.streams?.close()
    this.streams = null
    this.lazyWindow = null
    this.lazyReleases = null
    this.lazyReceived = null
    this.backlog = new Backlog(0, 0)
  }

  deliver(publication: Publication, target: Target, position: number): void {
    if (target.noLocal && publication.publisher === this) return
    const retain = target.retainAsPublished && publication.retain
    const qos = Math.min(publication.qos, target.qos) as Qos // [MQTT-3.8.4-8]
    const { subscriptionIds, share } = target
    if (qos === 0) this.deliverQos0(publication, retain, subscriptionIds)
    else if (this.queue !== null)
      this.deliverQueued(this.queue, publication, { qos, released: false, retain, subscriptionIds, share }, position)
    else if (share === '') this.deliverClean(publication, qos, retain, subscriptionIds)
    // It has room. What it does not acknowledge goes to another member, so it is kept.
    else
      this.offer({
        ...{ publication: publication.kept(), qos, retain, subscriptionIds, share },
        ...{ origin: nowhere, place: 0, stage: 'sent' as const },
      })
  }

  hasSent(position: number): boolean {
    return this.queue?.cursor === position
  }

  get isOnline(): boolean {
    return this.transport !== null
  }

  hasRoomFor(qos: Qos): boolean {
    if (this.transport === null || !this.transport.hasRoom()) return false
    if (qos === 0) return true
    const isBehind = this.queue !== null && (this.queue.behind || this.queue.reading)
    return !isBehind && this.backlog.messages === 0 && !this.window.isFull
  }

  wantRoom(): void {
    this.wanting = true
  }

  joinShare(group: SharedGroup): void {
    if (!this.groups.includes(group)) this.groups = [...this.groups, group]
  }

  leaveShare(group: SharedGroup): void {
    this.groups = this.groups.filter((other) => other !== group)
  }

  /** What its client has not acknowledged of shared subscriptions at QoS 1 [MQTT-4.8.2-5], in the order of sending. */
  sharedInFlight(): readonly InFlight[] {
    return this.lazyWindow?.entries().filter(({ share = '', qos }) => share !== '' && qos === 1) ?? []
  }

  /** Places of its queue that another session has now; what it has sent again itself meanwhile stays. */
  giveUp(moved: ReadonlyMap<number, number>): void {
    const { queue } = this
    if (queue === null) return
    const ids = new Map(this.transport === null ? this.lazyWindow?.inFlightOf(this) : [])
    let [messages, bytes] = [0, 0]
    for (const [place, payloadBytes] of moved) {
      const id = ids.get(place)
      if (id !== undefined) this.lazyWindow?.release(id)
      if (id !== undefined) queue.acknowledge(place, payloadBytes)
      if (place > queue.cursor) [messages, bytes] = [messages + 1, bytes + payloadBytes]
    }
    queue.moved(messages, bytes)
    this.dirty = true
  }

  /**
   * Sends a message that has its own origin (a stream, a retained message). False: no room; `onRoom` follows.
   * `packetId`: the one that it has already; 0: none.
   */
  offer(entry: InFlight, packetId = 0): boolean {
    if (this.transport === null) return false
    if (!this.transport.hasRoom() || (entry.qos > 0 && this.window.isFull)) {
      this.wanting = true
      return false
    }
    if (entry.qos > 0) this.sendEntry(entry, this.takePacketId(entry, packetId), false)
    else
      this.transport.send(entry.publication, {
        qos: 0,
        retain: entry.retain,
        dup: false,
        packetId: 0,
        subscriptionIds: entry.subscriptionIds,
      })
    return true
  }

  /** PUBACK. What is not in flight under this id is none of ours. */
  acknowledge(packetId: number): void {
    const entry = this.lazyWindow === null ? null : this.lazyWindow.acknowledge(packetId)
    if (entry === null) return
    if (typeof entry !== 'symbol') entry.origin.acknowledged(entry.place, entry.publication)
    if (this.wanting) this.advance()
  }

  /** PUBREC. False: nothing of QoS 2 is in flight under this id. */
  receive(packetId: number, refused: boolean): boolean {
    return this.lazyWindow !== null && this.releases.receive(packetId, refused)
  }

  /** PUBCOMP. */
  complete(packetId: number): void {
    if (this.lazyWindow !== null) this.releases.complete(packetId)
  }

  /** Packet ids that no other message can have before this state of the session is saved. */
  completedIds(): readonly number[] {
    return this.lazyReleases === null ? [] : this.lazyReleases.completedIds()
  }

  saved(completed: readonly number[]): void {
    if (completed.length === 0) return
    this.lazyReleases?.saved(completed)
    if (this.wanting) this.advance()
  }

  /** Its queue has grown in the store; null: it should have. What waited for that goes out. */
  committed(upTo: number | null): void {
    const { queue } = this
    if (queue === null) return
    if (upTo === null) queue.fallBehind()
    else if (queue.uncommitted.length > 0) this.sendCommitted(queue, upTo)
    if (queue.behind && this.transport !== null) this.advance()
  }

  /** Origin of what comes from its own queue. */
  acknowledged(position: number, publication: Publication): void {
    publication.lingering?.acknowledge(this.id)
    this.queue?.acknowledge(position, publication.end - publication.start)
    this.dirty = true
  }

  /** There may be room: what waits goes out, oldest kind first. */
  advance(): void {
    this.wanting = false
    this.sendAgain()
    this.drainBacklog()
    for (const group of this.groups) group.feed(this)
    this.onRoom()
    if (this.queue === null || !this.queue.behind) return
    if (this.transport?.hasRoom() && !this.window.isFull) this.deps.readOn(this, this.queue)
    else this.wanting = true
  }

  /** A message of the queue. False: no room; it is read again later. */
  takeQueued(queue: QueueCursor, publication: Publication, out: QueuedOut, position: number): boolean {
    const packetId = out.qos === 2 ? packetIdOf(position) : (queue.former.get(position) ?? 0)
    if (packetId > 0 && !this.releases.isFree(packetId)) {
      this.wanting = true
      return false
    }
    const { qos, retain, subscriptionIds, share } = out
    const stage = out.released ? 'released' : 'sent'
    const sent = this.offer(
      { publication, qos, retain, subscriptionIds, origin: this, place: position, share, stage },
      packetId,
    )
    if (sent) queue.send(position)
    return sent
  }

  private deliverQos0(publication: Publication, retain: boolean, subscriptionIds: readonly number[]): void {
    const transport = this.transport
    if (transport === null) return
    if (!transport.hasRoom()) {
      this.deps.counters.mqttQos0Dropped++
      return
    }
    transport.send(
      publication,
      retain || subscriptionIds.length > 0 ? { ...plainQos0, retain, subscriptionIds } : plainQos0,
    )
  }

  private deliverClean(
    publication: Publication,
    qos: 1 | 2,
    retain: boolean,
    subscriptionIds: readonly number[],
  ): void {
    const transport = this.transport
    if (transport === null) return
    const plain = qos === 1 ? plainQos1 : plainQos2
    const out = retain || subscriptionIds.length > 0 ? { ...plain, retain, subscriptionIds } : plain
    const window = this.window
    if (this.backlog.messages > 0 || window.isFull || !transport.hasRoom()) {
      this.wanting = true
      const wire = transport.encode(publication, out)
      this.deps.counters.queueDropped += this.backlog.push(wire, qos, publication.expiresAt)
      return
    }
    out.packetId = window.take(qos === 1 ? forgettable : forgettable2)
    transport.send(publication, out)
  }

  /** QoS 2 waits for the commit: what its publisher sends again after a crash is another message (decision 0010). */
  private deliverQueued(queue: QueueCursor, publication: Publication, out: QueuedOut, position: number): void {
    queue.grow(position, publication.end - publication.start)
    if (out.share !== '') queue.shared.add(out.share)
    if (queue.behind || queue.reading || this.transport === null) queue.fallBehind()
    else if (out.qos === 2 || queue.uncommitted.length > 0)
      queue.uncommitted.push({ publication: publication.kept(), out, position })
    else if (!this.takeQueued(queue, publication.kept(), out, position)) queue.fallBehind()
  }

  private sendCommitted(queue: QueueCursor, upTo: number): void {
    let sent = 0
    for (const { publication, out, position } of queue.uncommitted) {
      if (position > upTo) break
      if (this.transport === null || !this.takeQueued(queue, publication, out, position)) {
        queue.fallBehind()
        return
      }
      sent++
    }
    queue.uncommitted.splice(0, sent)
  }

  private sendAgain(): void {
    const window = this.lazyWindow
    if (!window?.mustSendAgain) return
    while (this.transport?.hasRoom()) {
      const next = window.takeAgain()
      if (next === null) break
      this.sendEntry(next[1], next[0], true)
    }
    if (window.mustSendAgain) this.wanting = true
  }

  private drainBacklog(): void {
    for (let wire = this.backlog.first(); wire !== null; wire = this.backlog.first()) {
      if (this.transport === null || !this.transport.hasRoom() || this.window.isFull) {
        this.wanting = true
        return
      }
      const { expiresAt } = wire
      if (expiresAt === 0 || expiresAt > Date.now()) {
        const packetId = this.window.take(wire.qos === 1 ? forgettable : forgettable2)
        this.transport.sendEncoded(wire, packetId, expiresAt)
      }
      this.backlog.shift()
    }
  }

  private takePacketId(entry: InFlight, packetId: number): number {
    if (packetId === 0) return this.window.take(entry)
    this.window.takeApart(entry, packetId)
    return packetId
  }

  private sendEntry(entry: InFlight, packetId: number, again: boolean): void {
    if (entry.stage === 'released') this.transport?.release(packetId) // [MQTT-4.4.0-1], [MQTT-4.3.3-6]
    // Otherwise PUBREC has come, and PUBREL follows the commit.
    if (entry.stage !== 'sent') return
    const dup = again || (entry.place > 0 && entry.place <= entry.origin.repeatsUpTo) // [MQTT-3.3.1-1]
    this.transport?.send(entry.publication, {
      qos: entry.qos,
      retain: entry.retain,
      dup,
      packetId,
      subscriptionIds: entry.subscriptionIds,
    })
  }
}

// The usual ways out, reused so that no object is made per message.
const plainQos0: Outgoing = Object.freeze({ qos: 0, retain: false, dup: false, packetId: 0, subscriptionIds: noIds })
const plainQos1 = { qos: 1 as const, retain: false, dup: false, packetId: 0, subscriptionIds: noIds }
const plainQos2 = { ...plainQos1, qos: 2 as const }
