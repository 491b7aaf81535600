// Hot path (bench: p2p, fan-out): a publication is encoded once per (version, QoS) and its bytes are shared.
import type { Publication, Wire } from '../publication.ts'
import type { Outgoing } from '../session.ts'
import type { Level } from './codec/packet-type.ts'
import { encodePublish, forwardedProperties } from './codec/publish.ts'

const none: Buffer = Buffer.alloc(0)

/** The bytes for one receiver. The packet id is left to be filled in. */
export function toWire(publication: Publication, level: Level, out: Outgoing): Wire {
  if (out.retain || out.dup || (level === 5 && (out.subscriptionIds.length > 0 || publication.expiresAt > 0))) {
    return encode(publication, level, out)
  }
  const at = (level - 4) * 2 + out.qos
  const known = publication.wires[at] as Wire | null
  if (known !== null) return known
  const wire = encode(publication, level, out)
  publication.wires[at] = wire
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
  return { bytes: packet, start: 0, end: packet.length, packetIdAt }
}

/** [MQTT-3.3.2-6] the interval that is left. */
const secondsLeft = (expiresAt: number) => Math.max(1, Math.ceil((expiresAt - Date.now()) / 1000))

/** Writes the interval that is left into an MQTT 5 packet of QoS 1 that `toWire` made with one, in place. */
export function updateExpiry({ bytes, start, packetIdAt }: Wire, expiresAt: number): void {
  let at = start + packetIdAt + 2
  while ((bytes[at] as number) >= 0x80) at++
  // `forwardedProperties` puts Message Expiry Interval (0x02) first.
  bytes.writeUInt32BE(secondsLeft(expiresAt), at + 2)
}
