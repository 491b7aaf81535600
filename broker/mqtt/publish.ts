// Hot path (bench: p2p, fan-out): PUBLISH, parsed in the socket's chunk and handed to the bus or, at a door, to admission.
import { BrokerError } from '../errors.ts'
import { Pace } from '../pace.ts'
import type { Rights } from '../policy.ts'
import type { Wire } from '../publication.ts'
import type { Recipient, Topic } from '../routes.ts'
import { sameBytes, tooLong } from '../topic-table.ts'
import type { Principal, Receipt, ReceiptSink } from '../types.ts'
import { Acks } from './acks.ts'
import { encodePuback, MAX_PUBACK_BYTES, writePuback } from './codec/ack.ts'
import { frame } from './codec/frame.ts'
import { Malformed, reason } from './codec/malformed.ts'
import type { Level } from './codec/packet-type.ts'
import type { Properties } from './codec/properties.ts'
import { type Publish, readPublish, readPublishProperties } from './codec/publish.ts'
import { scanPublishProperties } from './codec/publish-properties.ts'
import { readDoor } from './door.ts'
import type { Host } from './host.ts'
import type { Output } from './output.ts'

const receiveMaximumExceeded = 0x93
const noMatchingSubscribers = 0x00

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
  publisher: Recipient
  clientId: string
  level: Level
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

/** The publishing side of one connection. */
export class PublishPath implements ReceiptSink {
  private readonly deps: PublishPathDeps
  private lazyAcks: Acks | null = null
  /** The last topic and the permission epoch in which it was allowed. */
  private topic: Topic | null = null
  private allowedEpoch = -1
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
    if (publish.qos === 2) throw new Malformed(reason.qosNotSupported, 'The maximum is QoS 1') // [MQTT-3.2.2-11]
    if (publish.qos === 1 && !this.hasPlace()) return false
    const topic = this.topicOf(buffer, publish)
    const { principal, rights } = this.deps
    if (this.allowedEpoch !== rights.epoch) {
      if (topic.kind.kind === 'door' && principal.account > 0) return this.takeChat(buffer, publish, topic.kind.to)
      if (topic.kind.kind === 'presence' && topic.kind.of === principal.name) return this.takePresence(buffer, publish)
      if (!rights.mayPublish(topic)) return this.refuse(buffer, publish, topic)
      this.allowedEpoch = rights.epoch
    }
    if (this.pace !== null && !this.isInPace(this.pace)) return false
    host.counters.mqttMessagesReceived++
    this.publishPlain(buffer, publish, topic, packetStart)
    return true
  }

  private isInPace(pace: Pace): boolean {
    const waitMs = pace.take()
    if (waitMs === 0) return true
    this.deps.host.counters.limitPublishRate++
    this.deps.owner.pauseFor(waitMs)
    return false
  }

  settle(token: number, outcome: Receipt | BrokerError): void {
    this.settleFor(this.topic, token, outcome)
  }

  private settleFor(topic: Topic | null, token: number, outcome: Receipt | BrokerError): void {
    if (outcome instanceof BrokerError) {
      this.settleRefused(topic, token, outcome)
      return
    }
    if (token < 0) return
    this.acks.settle(token, noMatchingSubscribers, outcome.id, this.writeAck)
    this.deps.owner.onSettled()
  }

  private get acks(): Acks {
    this.lazyAcks ??= new Acks(this.deps.host.limits.receiveMaximum)
    return this.lazyAcks
  }

  /** False: the publish must wait. @throws Malformed when an MQTT 5 client exceeds the Receive Maximum that it was told */
  private hasPlace(): boolean {
    const { acks } = this
    if (acks.isFull) {
      if (this.deps.level === 5) throw new Malformed(receiveMaximumExceeded, 'More publishes than the Receive Maximum') // [MQTT-3.3.4-9]
      return false
    }
    return acks.count === 0 || !this.deps.host.pressure.isFull()
  }

  private topicOf(buffer: Buffer, publish: Publish): Topic {
    const { topicStart: start, topicEnd: end } = publish
    const { topics } = this.deps.host
    const last = this.topic
    if (last !== null && last.generation === topics.generation() && sameBytes(last.bytes, buffer, start, end))
      return last
    if (start === end) this.checkProperties(buffer, publish)
    const topic = topics.find(buffer, start, end)
    this.topic = topic
    this.allowedEpoch = -1
    return topic
  }

  private publishPlain(buffer: Buffer, publish: Publish, topic: Topic, packetStart: number): void {
    const { host, level, publisher } = this.deps
    const publication = host.lent
    const qos = publish.qos as 0 | 1
    publication.lend(topic, buffer, publish.payloadStart, publish.payloadEnd)
    publication.qos = qos
    publication.retain = publish.retain
    publication.publisher = publisher
    const { propertiesStart, propertiesEnd } = publish
    const expiryAt = propertiesEnd > propertiesStart ? this.checkProperties(buffer, publish) : -1
    if (propertiesEnd > propertiesStart) publication.lendProperties(propertiesStart, propertiesEnd, expiryAt)
    if (expiryAt >= 0) publication.expiresAt = Date.now() + buffer.readUInt32BE(expiryAt) * 1000
    if (!publish.retain && !publish.dup) {
      raw.bytes = buffer
      raw.start = packetStart
      raw.end = publish.payloadEnd
      raw.packetIdAt = qos === 0 ? -1 : publish.topicEnd - packetStart
      raw.expiryAt = expiryAt < 0 ? -1 : expiryAt - packetStart
      publication.wires[(level - 4) * 2 + qos] = raw
    }
    const token = qos === 0 ? -1 : this.acks.push(publish.packetId)
    host.bus.publish(publication, this, token)
  }

  /** Answers where the Message Expiry Interval stands, -1 without. @throws Malformed 0x81, 0x82, 0x94 */
  private checkProperties(buffer: Buffer, publish: Publish): number {
    const { topicAlias, expiryAt } = scanPublishProperties(buffer, publish.propertiesStart, publish.propertiesEnd)
    if (topicAlias === 0) return expiryAt
    throw new Malformed(reason.topicAliasInvalid, 'Topic Alias Maximum is 0') // [MQTT-3.3.2-9]
  }

  /** @throws Malformed 0x81, 0x82, 0x94 */
  private properties(buffer: Buffer, publish: Publish): Properties {
    const properties = readPublishProperties(buffer, publish.propertiesStart, publish.propertiesEnd)
    if (properties.topicAlias === undefined) return properties
    throw new Malformed(reason.topicAliasInvalid, 'Topic Alias Maximum is 0') // [MQTT-3.3.2-9]
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
    const properties = this.properties(buffer, publish)
    const payload = Buffer.from(buffer.subarray(publish.payloadStart, publish.payloadEnd))
    const message = readDoor(payload, properties, { from: host.party(account, name), device: clientId, to })
    const token = publish.qos === 0 ? -1 : this.acks.push(publish.packetId)
    if (message instanceof BrokerError) {
      this.settle(token, message)
      return true
    }
    // It may be refused only after other topics have come.
    const { topic } = this
    host.admission.admit(message, { settle: (place, outcome) => this.settleFor(topic, place, outcome) }, token)
    return true
  }

  private takePresence(buffer: Buffer, publish: Publish): boolean {
    this.deps.host.counters.mqttMessagesReceived++
    this.checkProperties(buffer, publish)
    const token = publish.qos === 0 ? -1 : this.acks.push(publish.packetId)
    const refused = this.deps.owner.say(buffer.subarray(publish.payloadStart, publish.payloadEnd))
    this.settle(token, refused ?? nothingStored)
    return true
  }

  /** Policy says no: 3.1.1 has no refusal, so the client gets its ack and a notice on `err` (DESIGN §1). */
  private refuse(buffer: Buffer, publish: Publish, topic: Topic): boolean {
    this.checkProperties(buffer, publish)
    if (topic.kind === tooLong) this.deps.host.counters.limitTopics++
    const code = topic.kind.kind === 'misspelt' ? 'bad-topic' : 'forbidden'
    const token = publish.qos === 0 ? -1 : this.acks.push(publish.packetId)
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
    if (token >= 0) this.acks.settle(token, error.mqtt, '', this.writeAck)
    this.deps.owner.onSettled()
  }

  private readonly writeAck = (packetId: number, code: number, id: string): void => {
    const { output, level } = this.deps
    if (level === 5 && id !== '') {
      output.bytes(encodePuback(level, packetId, code, { userProperties: [['cb-id', id]] }))
      return
    }
    const block = output.reserve(MAX_PUBACK_BYTES)
    const { position } = output
    output.advance(writePuback(block, position, level, packetId, code) - position)
  }
}
