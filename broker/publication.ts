// Hot path (bench: p2p, fan-out): what rides the bus.
import type { Recipient, Topic } from './routes.ts'
import type { ReceivedPacket } from './stores.ts'
import type { Qos } from './types.ts'

const none: Buffer = Buffer.alloc(0)

/** An encoded packet, made by a border and cached here so that all receivers share it. */
export type Wire = Readonly<{
  bytes: Buffer
  start: number
  end: number
  /** Where the packet id goes, counted from `start`; -1 for none. */
  packetIdAt: number
  /** Where the four bytes of MQTT 5's Message Expiry Interval stand, counted from `start`; -1 for none. */
  expiryAt: number
}>

/**
 * A plain publication: topic, payload bytes, QoS, retain, properties; never decoded. The one that a connection fills for
 * each PUBLISH is *lent*: `payload` points into the socket's chunk. `kept()` is the copy that may outlive the call.
 */
export class Publication {
  topic: Topic
  /** Payload: `source` from `start` to `end`. */
  source: Buffer = none
  start = 0
  end = 0
  qos: Qos = 0
  retain = false
  /** Milliseconds since 1970; 0: never. */
  expiresAt = 0
  /** Who published, for No Local. */
  publisher: Recipient | null = null
  /** A QoS 2 publish of a persistent session: kept with the message, so that a repeat is known for one. */
  received: ReceivedPacket | null = null
  /** Of a kept one whose queue references wait: to be told who has acknowledged it. */
  lingering: Readonly<{ acknowledge(session: number): void }> | null = null
  /** Encodings by `level * 3 + qos` of MQTT without retain flag, packet id and subscription ids. */
  readonly wires: (Wire | null)[] = [null, null, null, null, null, null]
  private copy: Publication | null = null
  private ownProperties: Buffer = none
  /** Of properties in `source` that nobody has asked for yet. */
  private propertiesStart = 0
  private propertiesEnd = 0
  private expiryAt = -1
  private aliasAt = -1

  constructor(topic: Topic) {
    this.topic = topic
  }

  /** Makes this object ready for the next PUBLISH. */
  lend(topic: Topic, source: Buffer, start: number, end: number): void {
    this.topic = topic
    this.source = source
    this.start = start
    this.end = end
    this.ownProperties = none
    this.propertiesEnd = 0
    this.expiresAt = 0
    this.received = null
    const wires = this.wires
    wires[0] = wires[1] = wires[2] = wires[3] = wires[4] = wires[5] = null
    this.copy = null
  }

  /**
   * The properties lie in `source`, checked; `expiryAt` is where the value of a Message Expiry Interval among them stands,
   * `aliasAt` where a topic alias does, with its identifier; -1 without. They are copied only when somebody asks for them.
   */
  lendProperties(
    start: number,
    end: number,
    { expiryAt, aliasAt }: Readonly<{ expiryAt: number; aliasAt: number }>,
  ): void {
    this.propertiesStart = start
    this.propertiesEnd = end
    this.expiryAt = expiryAt
    this.aliasAt = aliasAt
  }

  /** MQTT 5 properties that travel on, encoded, without length, Message Expiry Interval and alias; empty for none. */
  get properties(): Buffer {
    if (this.propertiesEnd > 0) {
      const { source, propertiesStart, propertiesEnd, expiryAt, aliasAt } = this
      const properties = Buffer.from(source.subarray(propertiesStart, propertiesEnd))
      const expiry = expiryAt < 0 ? -1 : expiryAt - 1 - propertiesStart
      const alias = aliasAt < 0 ? -1 : aliasAt - propertiesStart
      // The later one first: the place of the other stays.
      this.ownProperties =
        alias > expiry
          ? without(without(properties, alias, 3), expiry, 5)
          : without(without(properties, expiry, 5), alias, 3)
      this.propertiesEnd = 0
    }
    return this.ownProperties
  }

  set properties(encoded: Buffer) {
    this.ownProperties = encoded
    this.propertiesEnd = 0
  }

  get payload(): Buffer {
    return this.source.subarray(this.start, this.end)
  }

  /** The same publication with bytes of its own; made once, shared by all who keep it. */
  kept(): Publication {
    if (this.copy !== null) return this.copy
    const payload = Buffer.from(this.source.subarray(this.start, this.end))
    const copy = ownPublication(this.topic, payload, this.qos)
    copy.retain = this.retain
    copy.properties = this.properties
    copy.expiresAt = this.expiresAt
    copy.publisher = this.publisher
    this.copy = copy
    return copy
  }
}

/** The bytes but for `length` of them at `at`; all of them when that is -1. */
function without(bytes: Buffer, at: number, length: number): Buffer {
  return at < 0 ? bytes : Buffer.concat([bytes.subarray(0, at), bytes.subarray(at + length)])
}

/** A publication that owns its payload. */
export function ownPublication(topic: Topic, payload: Buffer, qos: Qos): Publication {
  const publication = new Publication(topic)
  publication.lend(topic, payload, 0, payload.length)
  publication.qos = qos
  return publication
}
