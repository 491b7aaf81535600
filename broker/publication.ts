// Hot path (bench: p2p, fan-out): what rides the bus.
import type { Recipient, Topic } from './routes.ts'

const none: Buffer = Buffer.alloc(0)

/** An encoded packet, made by a border and cached here so that all receivers share it. */
export type Wire = Readonly<{
  bytes: Buffer
  start: number
  end: number
  /** Where the packet id goes, counted from `start`; -1 for none. */
  packetIdAt: number
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
  qos: 0 | 1 = 0
  retain = false
  /** MQTT 5 properties that travel on, encoded, without length; empty for none. */
  properties: Buffer = none
  /** Milliseconds since 1970; 0: never. */
  expiresAt = 0
  /** Who published, for No Local. */
  publisher: Recipient | null = null
  /** Encodings by `level * 2 + qos` of MQTT without retain flag, packet id and subscription ids. */
  readonly wires: (Wire | null)[] = [null, null, null, null]
  private copy: Publication | null = null

  constructor(topic: Topic) {
    this.topic = topic
  }

  /** Makes this object ready for the next PUBLISH. */
  lend(topic: Topic, source: Buffer, start: number, end: number): void {
    this.topic = topic
    this.source = source
    this.start = start
    this.end = end
    this.properties = none
    this.expiresAt = 0
    const wires = this.wires
    wires[0] = wires[1] = wires[2] = wires[3] = null
    this.copy = null
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

/** A publication that owns its payload. */
export function ownPublication(topic: Topic, payload: Buffer, qos: 0 | 1): Publication {
  const publication = new Publication(topic)
  publication.lend(topic, payload, 0, payload.length)
  publication.qos = qos
  return publication
}
