// Carries packets between the session here and the session there. Packet ids are the same on both sides, so each handshake
// runs from end to end, and nothing is acknowledged before the other side has it (decision 0017).
import type { IConnackPacket, IPublishPacket, Packet, UserProperties } from 'mqtt-packet'
import type { Counters } from '../metrics.ts'
import type { LinkTopics } from './link-topics.ts'
import type { LinkWire } from './link-wire.ts'

/** Lists the brokers whose links a message has gone through. */
const viaName = 'cb-via'

/** Topics and names that a link does not carry are answered like a publish without subscribers. */
const noSubscribers = 0x10

type Deps = Readonly<{
  local: LinkWire
  remote: LinkWire
  topics: LinkTopics
  brokerId: string
  remoteVersion: 4 | 5
  /** Longest topic name here, and so of what the link carries. */
  topicBytes: number
  counters: Pick<Counters, 'linkReceived' | 'linkSent' | 'linkRefused'>
}>

export type LinkRelay = Readonly<{ fromLocal(packet: Packet): void; fromRemote(packet: Packet): void }>

export function createLinkRelay(deps: Deps): LinkRelay {
  const { local, remote, topics, brokerId, remoteVersion, topicBytes, counters } = deps
  const isTooLong = (topic: string) => Buffer.byteLength(topic) > topicBytes

  // Nothing stops being read: two sides that wait for each other would wait for ever. What is not acknowledged is bounded by
  // Receive Maximum; QoS 0 is dropped for a side that is behind.
  function pass(to: LinkWire, packet: Packet): void {
    if (packet.cmd === 'publish' && packet.qos === 0 && to.stream.writableNeedDrain) counters.linkRefused++
    else to.write(packet)
  }

  function refuse(from: LinkWire, { qos, messageId }: IPublishPacket): void {
    counters.linkRefused++
    if (qos === 0 || messageId === undefined) return
    const cmd = qos === 1 ? 'puback' : 'pubrec'
    from.write({ cmd, messageId, reasonCode: noSubscribers } as Packet)
  }

  function publishHere(packet: IPublishPacket): void {
    const topic = topics.toLocal(packet.topic)
    if (topic === null || isTooLong(topic) || via(packet).includes(brokerId)) {
      refuse(remote, packet)
      return
    }
    counters.linkReceived++
    pass(local, { ...packet, topic, properties: marked(packet, brokerId) })
  }

  function publishThere(packet: IPublishPacket): void {
    const topic = topics.toRemote(packet.topic)
    const seenBy = via(packet)
    // In its last place it came in by another link; before that it was here, and others had it since.
    if (topic === null || isTooLong(topic) || (seenBy.includes(brokerId) && seenBy.at(-1) !== brokerId)) {
      refuse(local, packet)
      return
    }
    counters.linkSent++
    if (remoteVersion === 4) pass(remote, { ...withoutProperties(packet), topic })
    else pass(remote, { ...packet, topic, properties: marked(packet, brokerId) })
  }

  return {
    fromLocal(packet) {
      if (packet.cmd === 'publish') publishThere(packet)
      else if (isStep(packet)) pass(remote, packet)
    },
    fromRemote(packet) {
      if (packet.cmd === 'publish') publishHere(packet)
      else if (isStep(packet)) pass(local, packet)
    },
  }
}

/** What the other side allows in CONNACK, asked of the session here in CONNECT. */
export function limitsOf({ properties = {} }: IConnackPacket): Readonly<Record<string, number>> {
  const { receiveMaximum, maximumPacketSize } = properties
  // A name there may be longer than here, and the list of brokers is added.
  const spareBytes = 2048
  return {
    ...(receiveMaximum !== undefined && { receiveMaximum }),
    ...(maximumPacketSize !== undefined && { maximumPacketSize: Math.max(maximumPacketSize - spareBytes, 64) }),
  }
}

function isStep({ cmd }: Packet): boolean {
  return cmd === 'puback' || cmd === 'pubrec' || cmd === 'pubrel' || cmd === 'pubcomp'
}

function via({ properties }: IPublishPacket): readonly string[] {
  const found = properties?.userProperties?.[viaName] ?? []
  return typeof found === 'string' ? [found] : found
}

/** Without what holds for one connection only, and with this broker as the last that it has been at. */
function marked(packet: IPublishPacket, brokerId: string): NonNullable<IPublishPacket['properties']> {
  const { topicAlias: _alias, subscriptionIdentifier: _ids, ...kept } = packet.properties ?? {}
  const seenBy = via(packet)
  const list = seenBy.at(-1) === brokerId ? seenBy : [...seenBy, brokerId]
  const userProperties: UserProperties = { ...kept.userProperties, [viaName]: [...list] }
  return { ...kept, userProperties }
}

function withoutProperties({ properties: _, ...packet }: IPublishPacket): IPublishPacket {
  return packet
}
