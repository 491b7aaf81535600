// The streams that a session follows (DESIGN §2): what its owner received, sent, is told; from the log, QoS at most 1.
import { type Envelope, toEnvelope, toTextLine } from '../message.ts'
import { ownPublication, type Publication } from '../publication.ts'
import type { SubscriptionOptions, Topic } from '../routes.ts'
import type { InFlight, Origin } from '../send-window.ts'
import type { Session } from '../session.ts'
import type { StreamState } from '../session-parts.ts'
import type { StoredSubscription } from '../stores.ts'
import { type FilterKind, streamTopic } from '../topic.ts'
import { looseTopic } from '../topic-table.ts'
import type { Follower, Followers, FollowingSession, LogEntry, Notice, View } from '../types.ts'
import { encodeProperties } from './codec/properties.ts'
import type { SessionPresence } from './presence-streams.ts'

type Filter = Readonly<{ views: readonly View[]; options: SubscriptionOptions }>
type Following = Readonly<{
  session: Session
  followers: Followers
  presence: SessionPresence
  /** A chat device has acknowledged an entry. */
  delivered: (entry: LogEntry) => void
  /** Entries up to this seq may have been sent by an earlier run of the broker. */
  repeatsUpTo: number
  /** Of `evt` all up to here is acknowledged. */
  eventPosition: number
}>
const envelopeType = 'application/vnd.clearbox+json; v=1'
const noIds: readonly number[] = []

/** The followers of one session, one per stream however many filters name it. They end with its subscriptions. */
export class SessionStreams implements StreamState {
  private readonly following: Following
  private readonly filters = new Map<string, Filter>()
  private readonly streams = new Map<View, Stream>()
  /** Of the account's contacts; not from the log. */
  readonly presence: SessionPresence

  constructor(following: Following) {
    this.following = following
    this.presence = following.presence
  }

  has(filter: string): boolean {
    return this.filters.has(filter) || this.presence.has(filter)
  }

  follows(view: View): boolean {
    return this.streams.has(view)
  }

  get sent(): number {
    return Math.max(this.following.repeatsUpTo, ...[...this.streams.values()].map((stream) => stream.sent))
  }

  get eventPosition(): number {
    return this.streams.get('evt')?.acknowledgedUpTo ?? 0
  }

  get count(): number {
    return this.filters.size + this.presence.count
  }

  /** Adds or replaces a filter. A stream that is new starts behind `position`, a seq of the owner's log. */
  add(filter: string, { views, options }: Filter, position: number): void {
    this.filters.set(filter, { views, options })
    for (const view of views) {
      const stream = this.streams.get(view)
      if (stream) stream.startBehind(position)
      else this.streams.set(view, this.createStream(view, position))
    }
    this.settleOptions()
  }

  remove(filter: string): void {
    this.filters.delete(filter)
    this.presence.remove(filter)
    const wanted = new Set([...this.filters.values()].flatMap(({ views }) => views))
    for (const [view, stream] of this.streams) {
      if (wanted.has(view)) continue
      stream.close()
      this.streams.delete(view)
    }
    this.settleOptions()
  }

  /** The session is online: followers start where they had come. */
  open(): void {
    for (const stream of this.streams.values()) stream.open()
    this.presence.open()
  }

  close(): void {
    for (const stream of this.streams.values()) stream.close()
    this.presence.close()
  }

  resume(): void {
    for (const stream of this.streams.values()) stream.resume()
    this.presence.resume()
  }

  positions(): ReadonlyMap<string, number> {
    const positions = new Map<string, number>()
    for (const [filter, { views }] of this.filters) {
      const seqs = views.map((view) => this.streams.get(view)?.position ?? 0).filter((seq) => seq >= 0)
      positions.set(filter, seqs.length > 0 ? Math.min(...seqs) : 0)
    }
    for (const filter of this.presence.names) positions.set(filter, 0)
    return positions
  }

  private createStream(view: View, position: number): Stream {
    if (view !== 'evt') return new Stream({ ...this.following, view, start: position })
    // Where the session stood in it, else from the beginning: the newest of each conversation, like a state.
    return new Stream({ ...this.following, view, start: this.following.eventPosition, repeatsUpTo: 0 })
  }

  /** Overlapping filters deliver once: the best QoS, all identifiers. */
  private settleOptions(): void {
    for (const [view, stream] of this.streams) {
      const options = [...this.filters.values()]
        .filter(({ views }) => views.includes(view))
        .map((filter) => filter.options)
      stream.qos = options.some(({ qos }) => qos > 0) ? 1 : 0
      stream.subscriptionIds = options.map(({ subscriptionId }) => subscriptionId).filter((id) => id > 0)
    }
  }
}

/** Gives a session that was read from the store its streams back. */
export function restoreStreams(
  stored: readonly StoredSubscription[],
  classify: (filter: string) => FilterKind,
  following: Following,
): void {
  const streams = new SessionStreams(following)
  for (const { filter, position, ...options } of stored) {
    const kind = classify(filter)
    if (kind.kind === 'presence') streams.presence.add(filter, { of: kind.of, options })
    else streams.add(filter, { views: kind.kind === 'streams' ? kind.views : [], options }, position ?? 0)
  }
  following.session.streams = streams
}

type StreamOptions = Pick<Following, 'session' | 'followers' | 'delivered' | 'repeatsUpTo'> &
  Readonly<{ view: View; start: number }>

/** One view of the owner's log for one session. */
class Stream implements FollowingSession, Origin {
  qos: 0 | 1 = 0
  subscriptionIds: readonly number[] = noIds
  readonly repeatsUpTo: number
  private readonly session: Session
  private readonly view: View
  private readonly topic: Topic
  private readonly followers: Followers
  private readonly delivered: Following['delivered']
  private readonly outstanding = new Map<number, LogEntry>()
  private follower: Follower | null = null
  private start: number
  /** Where it began: what came before is not its own. */
  private readonly since: number

  constructor({ session, view, start, followers, delivered, repeatsUpTo }: StreamOptions) {
    this.delivered = delivered
    this.repeatsUpTo = repeatsUpTo
    this.session = session
    this.view = view
    this.topic = looseTopic(streamTopic(session.accountName, view))
    this.start = start
    this.since = start
    this.followers = followers
  }

  /** In the account's log; -1 for what has no place there. */
  get position(): number {
    return this.view === 'err' || this.view === 'evt' ? -1 : this.acknowledgedUpTo
  }

  /** All entries of the view up to here are acknowledged. */
  get acknowledgedUpTo(): number {
    const [first] = this.outstanding.keys()
    return first === undefined ? (this.follower?.cursor ?? this.start) : first - 1
  }

  /** Entries up to here may have been sent. */
  get sent(): number {
    return this.view === 'err' || this.view === 'evt' ? 0 : (this.follower?.cursor ?? this.start)
  }

  /** Of several stored positions the highest is right: each was acknowledged. */
  startBehind(position: number): void {
    if (this.view !== 'evt' && this.follower === null && position > this.start) this.start = position
  }

  open(): void {
    this.follower ??= this.followers.follow(this, this.session.account, this.view, this.start)
  }

  close(): void {
    if (this.follower === null) return
    this.start = this.follower.cursor
    this.follower.close()
    this.follower = null
  }

  resume(): void {
    this.follower?.resume()
  }

  deliver(_follower: Follower, entry: LogEntry): boolean {
    const publication = this.toPublication(entry)
    if (publication === null) return true
    const qos = entry.message.kind === 'typing' ? 0 : this.qos
    if (!this.session.offer(this.inFlight(publication, entry.seq, qos))) return false
    if (qos === 1 && entry.seq > 0) this.outstanding.set(entry.seq, entry)
    else this.tellPosition(entry.seq)
    return true
  }

  acknowledged(seq: number): void {
    const entry = this.outstanding.get(seq)
    this.outstanding.delete(seq)
    if (this.view === 'msg' && entry !== undefined) this.delivered(entry)
    this.session.dirty = this.session.persistent
    this.tellPosition(seq)
  }

  notice(_follower: Follower, notice: Notice): boolean {
    const payload = Buffer.from(
      JSON.stringify({ v: 1, kind: 'error', ...notice, at: new Date(notice.at).toISOString() }),
    )
    return this.session.offer(this.inFlight(this.publication(payload, {}), 0, this.qos))
  }

  private inFlight(publication: Publication, place: number, qos: 0 | 1): InFlight {
    const { subscriptionIds } = this
    return { publication, qos, retain: false, subscriptionIds, origin: this, place, stage: 'sent' }
  }

  /** A session that follows its own `msg` is a chat device: what it has taken is delivered (DESIGN §5). */
  private tellPosition(seq: number): void {
    if (this.view === 'msg' && seq > 0) this.followers.acknowledged(this.session.account, seq, this.since)
  }

  /** Null: this view has nothing to show of the message. */
  private toPublication(entry: LogEntry): Publication | null {
    if (this.view !== 'text')
      return this.publication(Buffer.from(envelopeJson(entry)), {
        contentType: envelopeType,
        userProperties: cbProperties(entry),
      })
    const line = toTextLine(entry)
    return line === null ? null : this.publication(Buffer.from(line), { userProperties: cbProperties(entry) })
  }

  private publication(payload: Buffer, properties: Parameters<typeof encodeProperties>[0]): Publication {
    const publication = ownPublication(this.topic, payload, 1)
    publication.properties = encodeProperties(properties)
    return publication
  }
}

function envelopeJson(entry: LogEntry): string {
  const { wires } = entry.message
  const key = `envelope:${entry.owner}`
  const known = wires.get(key)
  if (typeof known === 'string') return known
  const envelope: Envelope = toEnvelope(entry)
  const json = JSON.stringify(envelope)
  wires.set(key, json)
  return json
}

/** MQTT 5 receivers get the ids without parsing the payload (DESIGN §4). */
function cbProperties({ message }: LogEntry): [string, string][] {
  return [
    ['cb-id', message.id],
    ['cb-from', message.from.address],
    ['cb-ts', new Date(message.ts).toISOString()],
    ['cb-kind', message.kind],
  ]
}
