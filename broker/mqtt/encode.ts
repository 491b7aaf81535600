// Hot path (bench: p2p, fan-out): a publication is encoded once per (version, QoS) and its bytes are shared.
import type { Publication, Wire } from '../publication.ts'
import type { Outgoing } from '../transport.ts'
import type { Level } from './codec/packet-type.ts'
import { encodePublish, forwardedProperties } from './codec/publish.ts'

const none: Buffer = Buffer.alloc(0)

/** The bytes for one receiver. The packet id is left to be filled in. */
export function toWire(publication: Publication, level: Level, out: Outgoing): Wire {
  if (out.retain || out.dup || (level === 5 && out.subscriptionIds.length > 0)) return encode(publication, level, out)
  const at = (level - 4) * 3 + out.qos
  const known = publication.wires[at] as Wire | null
  if (known !== null) return known
  const wire = encode(publication, level, out)
  // The interval that is left is another one later.
  if (level === 4 || publication.expiresAt === 0) publication.wires[at] = wire
  return wire
}

function encode(publication: Publication, level: Level, { qos, retain, dup, subscriptionIds }: Outgoing): Wire {
  const { expiresAt } = publication
  const messageExpiryInterval = expiresAt > 0 ? secondsLeft(expiresAt) : null
  const properties =
    level === 4 ? none : forwardedProperties(publication.properties, { subscriptionIds, messageExpiryInterval })
  const { packet, packetIdAt } = encodePublish(level, {
    topic: publication.topic.bytes,
    payload: publication.payload,
    qos,
    retain,
    dup,
    properties,
  })
  // `forwardedProperties` puts the Message Expiry Interval (0x02) first.
  const hasExpiry = level === 5 && messageExpiryInterval !== null
  const expiryAt = hasExpiry ? packet.length - publication.payload.length - properties.length + 1 : -1
  return { bytes: packet, start: 0, end: packet.length, packetIdAt, expiryAt }
}

/** [MQTT-3.3.2-6] the interval that is left. */
const secondsLeft = (expiresAt: number) => Math.max(1, Math.ceil((expiresAt - Date.now()) / 1000))

/** Writes the interval that is left into a packet that has one, in place. */
export function updateExpiry({ bytes, start, expiryAt }: Wire, expiresAt: number): void {
  if (expiryAt >= 0) bytes.writeUInt32BE(secondsLeft(expiresAt), start + expiryAt)
}
