// Hot path (bench: p2p, fan-out): PUBLISH, parsed in the socket's chunk and handed to the bus or, at a door, to admission.
import { BrokerError } from '../errors.ts'
import { Pace } from '../pace.ts'
import type { Rights } from '../policy.ts'
import type { Wire } from '../publication.ts'
import type { ReceivedPackets } from '../received-packets.ts'
import type { Recipient, Topic } from '../routes.ts'
import { sameBytes, tooLong } from '../topic-table.ts'
import type { Principal, Receipt, ReceiptSink } from '../types.ts'
import { Acks, type Answer } from './acks.ts'
import { packetIdNotFound } from './codec/ack.ts'
import { frame } from './codec/frame.ts'
import { Malformed, protocolError } from './codec/malformed.ts'
import { type Level, packetType } from './codec/packet-type.ts'
import { type Publish, readPublish, readPublishProperties } from './codec/publish.ts'
import { type PublishProperties, scanPublishProperties } from './codec/publish-properties.ts'
import { readDoor } from './door.ts'
import type { Host } from './host.ts'
import { IncomingAliases } from './incoming-aliases.ts'
import type { Output } from './output.ts'
import { type Hearing, toldAck } from './reasons.ts'

const { PUBACK, PUBREC, PUBCOMP } = packetType
const receiveMaximumExceeded = 0x93
const noMatchingSubscribers = 0x00

const noProperties: PublishProperties = { topicAlias: 0, aliasAt: -1, expiryAt: -1 }

/** The receipt of what is live only. */
const nothingStored: Receipt = { id: '', ts: 0, repeated: false }

/** The wire of the packet that is being handled, when its bytes can go out as they came. Reused. */
const raw: { -readonly [K in keyof Wire]: Wire[K] } = {
  bytes: Buffer.alloc(0),
  start: 0,
  end: 0,
  packetIdAt: -1,
  expiryAt: -1,
}

export type PublishPathDeps = Readonly<{
  host: Host
  principal: Principal
  rights: Rights
  publisher: Recipient & Readonly<{ received: ReceivedPackets }>
  clientId: string
  level: Level
  hearing: Hearing
  output: Output
  owner: PublishOwner
}>

/** The connection. */
export interface PublishOwner {
  /** A publish was acknowledged: what stopped may go on. */
  onSettled(): void
  /** Nothing more is read for so long: the account's quota (DESIGN §2). */
  pauseFor(ms: number): void
  /** What was published to `u/{me}/presence/set`. */
  say(payload: Buffer): BrokerError | null
  /** The connection must end with this reason, once what is being handled is over. */
  closeSoon(reason: number): void
}

/** QoS 2: publishes whose first copy came on an earlier connection, and PUBRELs, that wait for a commit. */
type Steps = Readonly<{ repeated: ReceiptSink; released: ReceiptSink }>

/** The publishing side of one connection. */
export class PublishPath implements ReceiptSink {
  private readonly deps: PublishPathDeps
  private lazyAcks: Acks | null = null
  /** QoS 2 of this connection that is not over, by packet id; MQTT 5 only, for its Receive Maximum. */
  private open: Set<number> | null = null
  private lazySteps: Steps | null = null
  /** The last topic and the permission epoch in which it was allowed. */
  private topic: Topic | null = null
  private allowedEpoch = -1
  private lazyAliases: IncomingAliases | null = null
  private readonly pace: Pace | null

  constructor(deps: PublishPathDeps) {
    this.deps = deps
    const { publishesPerSecond } = deps.host.limits
    this.pace = publishesPerSecond === Number.POSITIVE_INFINITY ? null : new Pace(publishesPerSecond)
  }

  get waiting(): number {
    return this.lazyAcks === null ? 0 : this.lazyAcks.count
  }

  /** Handles the PUBLISH in `frame`. False: not now; the same packet is to be offered again. @throws Malformed */
  take(buffer: Buffer, packetStart: number): boolean {
    const { host, level } = this.deps
    const publish = readPublish(buffer, frame, level)
    if (publish.qos > 0 && !this.hasPlace(publish)) return false
    const { propertiesStart, propertiesEnd } = publish
    const properties =
      propertiesEnd > propertiesStart ? scanPublishProperties(buffer, propertiesStart, propertiesEnd) : noProperties
    const topic =
      properties.topicAlias > 0
        ? this.aliasedTopic(buffer, publish, properties.topicAlias)
        : this.topicOf(buffer, publish)
    if (publish.qos === 2 && this.takeRepeat(publish.packetId)) return true
    const { principal, rights } = this.deps
    if (this.allowedEpoch !== rights.epoch) {
      if (topic.kind.kind === 'door' && principal.account > 0) return this.takeChat(buffer, publish, topic.kind.to)
      if (topic.kind.kind === 'presence' && topic.kind.of === principal.name) return this.takePresence(buffer, publish)
      if (!rights.mayPublish(topic)) return this.refuse(publish, topic)
      this.allowedEpoch = rights.epoch
    }
    if (this.pace !== null && !this.isInPace(this.pace)) return false
    host.counters.mqttMessagesReceived++
    this.publishPlain(buffer, publish, topic, properties, packetStart)
    return true
  }

  private isInPace(pace: Pace): boolean {
    const waitMs = pace.take()
    if (waitMs === 0) return true
    this.deps.host.counters.limitPublishRate++
    this.deps.owner.pauseFor(waitMs)
    return false
  }

  /** PUBREL. PUBCOMP follows when the store has forgotten the id: it may come again at once. @throws Malformed 0x82 */
  release(packetId: number): void {
    const { publisher, host } = this.deps
    const { received } = publisher
    const state = received.stateOf(packetId)
    if (state === 'publishing') throw protocolError('PUBREL before PUBREC')
    if (state === undefined) {
      this.complete(packetId, packetIdNotFound)
      return
    }
    received.wait(packetId, this.steps.released, packetId)
    if (state === 'releasing') return
    received.release(packetId)
    if (publisher.persistent) {
      const waiter = { sink: received, token: packetId }
      host.queue.forget({ session: publisher.id, packetId }, waiter)
    } else received.settle(packetId, nothingStored)
  }

  settle(token: number, outcome: Receipt | BrokerError): void {
    this.settleFor(this.topic, token, outcome)
  }

  private settleFor(topic: Topic | null, token: number, outcome: Receipt | BrokerError): void {
    const packetId = token < 0 ? 0 : this.acks.receivedId(token)
    if (packetId > 0) this.deps.publisher.received.published(packetId, outcome)
    this.answer(topic, token, outcome)
  }

  /** What was said at a door is kept elsewhere; for a persistent session its packet id is kept behind it. */
  private settleSaid(topic: Topic | null, token: number, outcome: Receipt | BrokerError): void {
    const { publisher, host } = this.deps
    const packetId = token < 0 ? 0 : this.acks.receivedId(token)
    if (packetId === 0 || !publisher.persistent || outcome instanceof BrokerError) {
      this.settleFor(topic, token, outcome)
      return
    }
    const settle = (_token: number, kept: Receipt | BrokerError) =>
      this.settleFor(topic, token, kept instanceof BrokerError ? kept : outcome)
    host.queue.keep(null, { session: publisher.id, packetId }, { sink: { settle }, token })
  }

  private answer(topic: Topic | null, token: number, outcome: Receipt | BrokerError): void {
    if (outcome instanceof BrokerError) {
      this.settleRefused(topic, token, outcome)
      return
    }
    if (token < 0) return
    this.acks.settle(token, noMatchingSubscribers, outcome.id, this.writeAnswer)
    this.deps.owner.onSettled()
  }

  /** What an earlier packet must end before it is answered. */
  private get steps(): Steps {
    this.lazySteps ??= {
      repeated: { settle: (token, outcome) => this.answer(null, token, outcome) },
      released: {
        settle: (packetId, outcome) => {
          if (outcome instanceof BrokerError) this.deps.owner.closeSoon(outcome.mqtt)
          else this.complete(packetId, 0)
        },
      },
    }
    return this.lazySteps
  }

  private get acks(): Acks {
    this.lazyAcks ??= new Acks(this.deps.host.limits.receiveMaximum)
    return this.lazyAcks
  }

  /**
   * False: the publish must wait. A 3.1.1 client was told no Receive Maximum: only what is not answered stops it, so that
   * its PUBRELs are still read. @throws Malformed when an MQTT 5 client exceeds the Receive Maximum that it was told
   */
  private hasPlace(publish: Publish): boolean {
    const { acks } = this
    if (acks.isFull || (this.open !== null && this.isOverMaximum(this.open, publish))) {
      if (this.deps.level === 5) throw new Malformed(receiveMaximumExceeded, 'More publishes than the Receive Maximum') // [MQTT-3.3.4-7]
      return false
    }
    return acks.count === 0 || !this.deps.host.pressure.isFull()
  }

  /** QoS 1 counts until its PUBACK, QoS 2 until its PUBCOMP. */
  private isOverMaximum(open: ReadonlySet<number>, { qos, packetId }: Publish): boolean {
    const unfinished = this.acks.count - this.acks.receiving + open.size
    return unfinished >= this.deps.host.limits.receiveMaximum && !(qos === 2 && open.has(packetId))
  }

  /** [MQTT-4.3.3-10] the same packet id again, before its PUBREL: PUBREC, and no message. @throws Malformed 0x82 */
  private takeRepeat(packetId: number): boolean {
    const { received } = this.deps.publisher
    const state = received.stateOf(packetId)
    if (state === undefined) return false
    if (state === 'releasing') throw protocolError('A packet id is used before its PUBCOMP')
    const token = this.pushReceived(packetId)
    if (state === 'received') this.answer(null, token, nothingStored)
    else received.wait(packetId, this.steps.repeated, token)
    return true
  }

  /** The token that the receipt comes back with; -1 for QoS 0. */
  private push({ qos, packetId }: Publish): number {
    if (qos === 0) return -1
    if (qos === 1) return this.acks.push(PUBACK, packetId)
    this.deps.publisher.received.begin(packetId)
    return this.pushReceived(packetId)
  }

  private pushReceived(packetId: number): number {
    if (this.deps.level === 5) {
      this.open ??= new Set()
      this.open.add(packetId)
    }
    return this.acks.push(PUBREC, packetId)
  }

  private topicOf(buffer: Buffer, publish: Publish): Topic {
    const { topicStart: start, topicEnd: end } = publish
    const { topics } = this.deps.host
    const last = this.topic
    if (last !== null && last.generation === topics.generation() && sameBytes(last.bytes, buffer, start, end))
      return last
    return this.turnTo(topics.find(buffer, start, end))
  }

  /** The topic that the alias stands for, from now on or since an earlier packet. @throws Malformed */
  private aliasedTopic(buffer: Buffer, publish: Publish, alias: number): Topic {
    const { topics, limits } = this.deps.host
    this.lazyAliases ??= new IncomingAliases(limits.topicAliases)
    const aliases = this.lazyAliases
    if (publish.topicEnd > publish.topicStart) {
      const topic = this.topicOf(buffer, publish)
      aliases.set(alias, topic)
      return topic
    }
    let topic = aliases.get(alias)
    if (topic.generation !== topics.generation()) {
      topic = topics.find(topic.bytes, 0, topic.bytes.length)
      aliases.set(alias, topic)
    }
    return topic === this.topic ? topic : this.turnTo(topic)
  }

  private turnTo(topic: Topic): Topic {
    this.topic = topic
    this.allowedEpoch = -1
    return topic
  }

  private publishPlain(
    buffer: Buffer,
    publish: Publish,
    topic: Topic,
    found: PublishProperties,
    packetStart: number,
  ): void {
    const { host, level, publisher } = this.deps
    const publication = host.lent
    const { qos, packetId } = publish
    publication.lend(topic, buffer, publish.payloadStart, publish.payloadEnd)
    publication.qos = qos
    publication.retain = publish.retain
    publication.publisher = publisher
    const { propertiesStart, propertiesEnd } = publish
    const { expiryAt, aliasAt } = found
    if (propertiesEnd > propertiesStart) publication.lendProperties(propertiesStart, propertiesEnd, found)
    if (expiryAt >= 0) publication.expiresAt = Date.now() + buffer.readUInt32BE(expiryAt) * 1000
    // An alias is of this connection only [MQTT-3.3.2-7].
    if (!publish.retain && !publish.dup && aliasAt < 0) {
      raw.bytes = buffer
      raw.start = packetStart
      raw.end = publish.payloadEnd
      raw.packetIdAt = qos === 0 ? -1 : publish.topicEnd - packetStart
      raw.expiryAt = expiryAt < 0 ? -1 : expiryAt - packetStart
      publication.wires[(level - 4) * 3 + qos] = raw
    }
    if (qos === 2 && publisher.persistent) publication.received = { session: publisher.id, packetId }
    host.bus.publish(publication, this, this.push(publish))
  }

  private takeChat(buffer: Buffer, publish: Publish, to: string): boolean {
    const { host, principal, clientId } = this.deps
    const { account, name } = principal
    if (publish.qos === 0 && host.pressure.isFull()) {
      host.counters.mqttQos0Dropped++
      return true
    }
    const delayMs = host.admission.delayMs(account)
    if (delayMs > 0) {
      this.deps.owner.pauseFor(delayMs)
      return false
    }
    host.counters.mqttMessagesReceived++
    const properties = readPublishProperties(buffer, publish.propertiesStart, publish.propertiesEnd)
    const payload = Buffer.from(buffer.subarray(publish.payloadStart, publish.payloadEnd))
    const message = readDoor(payload, properties, { from: host.party(account, name), device: clientId, to })
    const token = this.push(publish)
    if (message instanceof BrokerError) {
      this.settle(token, message)
      return true
    }
    // It may be refused only after other topics have come.
    const { topic } = this
    host.admission.admit(message, { settle: (place, outcome) => this.settleSaid(topic, place, outcome) }, token)
    return true
  }

  private takePresence(buffer: Buffer, publish: Publish): boolean {
    this.deps.host.counters.mqttMessagesReceived++
    const token = this.push(publish)
    const refused = this.deps.owner.say(buffer.subarray(publish.payloadStart, publish.payloadEnd))
    this.settleSaid(this.topic, token, refused ?? nothingStored)
    return true
  }

  /** Policy says no: 3.1.1 has no refusal, so the client gets its ack and a notice on `err` (DESIGN §1). */
  private refuse(publish: Publish, topic: Topic): boolean {
    if (topic.kind === tooLong) this.deps.host.counters.limitTopics++
    const code = topic.kind.kind === 'misspelt' ? 'bad-topic' : 'forbidden'
    const token = this.push(publish)
    this.settle(token, new BrokerError(code, undefined))
    return true
  }

  private settleRefused(topic: Topic | null, token: number, error: BrokerError): void {
    const { host, principal, level } = this.deps
    if (error.code === 'overload' || error.code === 'internal') {
      this.deps.owner.closeSoon(error.mqtt)
      return
    }
    if (level === 4 || token < 0) {
      host.notice(principal.account, {
        code: error.code,
        detail: error.message,
        at: Date.now(),
        topic: topic?.name,
      })
    }
    if (token >= 0) this.acks.settle(token, error.mqtt, error.message, this.writeAnswer)
    this.deps.owner.onSettled()
  }

  private readonly writeAnswer = (type: Answer, packetId: number, reasonCode: number, text: string): void => {
    const { output, level, hearing } = this.deps
    if (type === PUBREC && reasonCode >= 0x80) this.open?.delete(packetId)
    if (level === 4 || text === '') output.ack(level, type, packetId, reasonCode)
    else output.bytes(toldAck(hearing, { type, packetId, reasonCode }, text))
  }

  /** [MQTT-4.3.3-11] */
  private complete(packetId: number, code: number): void {
    const { output, level } = this.deps
    this.open?.delete(packetId)
    output.ack(level, PUBCOMP, packetId, code)
  }
}
