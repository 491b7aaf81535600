// Hot path (bench: p2p, fan-out): one MQTT session and what it is owed.
import { Backlog } from './backlog.ts'
import type { BrokerError } from './errors.ts'
import type { Limits } from './limits.ts'
import type { Counters } from './metrics.ts'
import type { Rights } from './policy.ts'
import type { Publication, Wire } from './publication.ts'
import { QueueCursor } from './queue-cursor.ts'
import type { Recipient, SubscriptionOptions, Target } from './routes.ts'
import { forgettable, type InFlight, type Origin, SendWindow } from './send-window.ts'
import type { StoredWill } from './stores.ts'

/** The connection that a session has now. */
export interface Transport {
  /** Its output is below the limit. */
  hasRoom(): boolean
  send(publication: Publication, out: Outgoing): void
  /** The bytes that `send` would write; valid until the publication is lent again. */
  encode(publication: Publication, out: Outgoing): Wire
  /** Writes what `encode` gave, some time ago. */
  sendEncoded(wire: Wire, packetId: number, expiresAt: number): void
  /** Another connection has taken the session over, or it was ended. */
  close(reason: number): void
}

/** How one copy of a publication goes out. `packetId` is 0 at QoS 0. */
export type Outgoing = Readonly<{
  qos: 0 | 1
  retain: boolean
  dup: boolean
  packetId: number
  subscriptionIds: readonly number[]
}>

/** The streams that a session follows; they outlive its connections. */
export interface StreamState {
  has(filter: string): boolean
  remove(filter: string): void
  readonly count: number
  /** The session is online: they deliver. */
  open(): void
  close(): void
  /** There is room again. */
  resume(): void
  /** Entries of the log up to this seq may have been sent. */
  readonly sent: number
  /** Of `evt` all up to here is acknowledged. */
  readonly eventPosition: number
  /** Acknowledged up to this seq, by filter. */
  positions(): ReadonlyMap<string, number>
}

/** How contacts see the client of a session; it outlives a connection whose Will is held back. */
export interface SessionDevice {
  /** What it follows may have changed. */
  settle(): void
  /** What was published to `u/{me}/presence/set`. */
  say(payload: Buffer): BrokerError | null
  /** It is gone for good; `status` are its last words. */
  end(status: string): void
}

/** Reads on for a session that is behind: from its queue in the store. */
export type ReadOn = (session: Session, queue: QueueCursor) => void

type QueuedOut = Pick<Outgoing, 'retain' | 'subscriptionIds'>
export type SessionDeps = Readonly<{ limits: Limits; counters: Counters; readOn: ReadOn }>

/** Key of a session: nobody takes over another account's (DESIGN §3). */
export const sessionKey = (account: number, clientId: string) => `${account}/${clientId}`

export type SessionIdentity = Readonly<{
  account: number
  accountName: string
  clientId: string
  id: number
  epoch: number
  /** Seconds; 0xFFFFFFFF never ends. */
  expiryInterval: number
}>

const noIds: readonly number[] = []
const nothing = () => undefined

/**
 * Subscriptions, the send window, and what waits. A persistent session reads QoS 1 messages from its queue in the store
 * whenever it could not take one live; a clean one has a bounded backlog in memory.
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
  /** Its state differs from what the store has. */
  dirty = false
  private backlog: Backlog
  private readonly deps: SessionDeps
  private lazyWindow: SendWindow | null = null
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

  /** A connection takes the session: what was in flight goes out again with its packet ids, then what waits. */
  attach(transport: Transport, receiveMaximum: number): void {
    this.transport = transport
    this.disconnectedAt = null
    this.windowLimit = Math.min(receiveMaximum, this.deps.limits.sendWindow)
    this.lazyWindow?.reopen(this.windowLimit)
    if (this.queue !== null) this.queue.behind = this.queue.tail > this.queue.cursor
    this.wanting = true
    this.advance()
  }

  /** Packet ids from now on are none that its client may know from an earlier run of the broker. */
  renewPacketIds(): void {
    const { sendWindow } = this.deps.limits
    const ranges = Math.floor(0xffff / sendWindow)
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
    this.backlog = new Backlog(0, 0)
  }

  deliver(publication: Publication, target: Target, position: number): void {
    if (target.noLocal && publication.publisher === this) return
    const retain = target.retainAsPublished && publication.retain
    if (publication.qos === 0 || target.qos === 0) this.deliverQos0(publication, retain, target.subscriptionIds)
    else if (this.queue !== null) this.deliverQueued(this.queue, publication, target, retain, position)
    else this.deliverClean(publication, target, retain)
  }

  /**
   * Sends a message that has its own origin (a stream, a retained message). False: no room; `onRoom` follows.
   * `formerId`: the packet id that it had in an earlier run of the broker; 0: none.
   */
  offer(entry: InFlight, qos: 0 | 1, formerId = 0): boolean {
    if (this.transport === null) return false
    if (!this.transport.hasRoom() || (qos === 1 && this.window.isFull)) {
      this.wanting = true
      return false
    }
    if (qos === 1) this.sendEntry(entry, this.takePacketId(entry, formerId), false)
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

  /** PUBACK. False: nothing is in flight under this id. */
  acknowledge(packetId: number): boolean {
    const entry = this.lazyWindow === null ? null : this.lazyWindow.release(packetId)
    if (entry === null) return false
    if (entry !== forgettable) entry.origin.acknowledged(entry.place, entry.publication)
    if (this.wanting) this.advance()
    return true
  }

  /** Origin of what comes from its own queue. */
  acknowledged(position: number, publication: Publication): void {
    this.queue?.acknowledge(position, publication.end - publication.start)
    this.dirty = true
  }

  /** There may be room: what waits goes out, oldest kind first. */
  advance(): void {
    this.wanting = false
    this.sendAgain()
    this.drainBacklog()
    this.onRoom()
    if (this.queue === null || !this.queue.behind) return
    if (this.transport?.hasRoom() && !this.window.isFull) this.deps.readOn(this, this.queue)
    else this.wanting = true
  }

  /** A message of the queue. False: no room; it is read again later. */
  takeQueued(queue: QueueCursor, publication: Publication, out: QueuedOut, position: number): boolean {
    const entry = { publication, ...out, origin: this, place: position }
    const sent = this.offer(entry, 1, queue.former.get(position))
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

  private deliverClean(publication: Publication, target: Target, retain: boolean): void {
    const transport = this.transport
    if (transport === null) return
    const { subscriptionIds } = target
    const out = retain || subscriptionIds.length > 0 ? { ...plainQos1, retain, subscriptionIds } : plainQos1
    const window = this.window
    if (this.backlog.messages > 0 || window.isFull || !transport.hasRoom()) {
      this.wanting = true
      this.deps.counters.queueDropped += this.backlog.push(transport.encode(publication, out), publication.expiresAt)
      return
    }
    out.packetId = window.take(forgettable)
    transport.send(publication, out)
  }

  private deliverQueued(
    queue: QueueCursor,
    publication: Publication,
    target: Target,
    retain: boolean,
    position: number,
  ): void {
    queue.grow(position, publication.end - publication.start)
    if (queue.behind || queue.reading || this.transport === null) {
      queue.behind = true
      return
    }
    const { subscriptionIds } = target
    if (!this.takeQueued(queue, publication.kept(), { retain, subscriptionIds }, position)) queue.behind = true
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
        this.transport.sendEncoded(wire, this.window.take(forgettable), expiresAt)
      }
      this.backlog.shift()
    }
  }

  private takePacketId(entry: InFlight, formerId: number): number {
    if (formerId === 0) return this.window.take(entry)
    this.window.takeFormer(entry, formerId)
    return formerId
  }

  private sendEntry(entry: InFlight, packetId: number, again: boolean): void {
    const dup = again || (entry.place > 0 && entry.place <= entry.origin.repeatsUpTo) // [MQTT-3.3.1-1]
    this.transport?.send(entry.publication, {
      qos: 1,
      retain: entry.retain,
      dup,
      packetId,
      subscriptionIds: entry.subscriptionIds,
    })
  }
}

// The two usual ways out, reused so that no object is made per message.
const plainQos0: Outgoing = Object.freeze({ qos: 0, retain: false, dup: false, packetId: 0, subscriptionIds: noIds })
const plainQos1 = { qos: 1 as const, retain: false, dup: false, packetId: 0, subscriptionIds: noIds }
