// An MQTT client that shows every packet: bytes go out as a test gives them, packets come in strictly in order.
import { connect, type Socket } from 'node:net'
import { frame, INCOMPLETE, readFrame } from '../../broker/mqtt/codec/frame.ts'
import { type Level, packetType } from '../../broker/mqtt/codec/packet-type.ts'
import { Reader } from '../../broker/mqtt/codec/primitives.ts'
import { type Properties, readProperties, readPropertyList } from '../../broker/mqtt/codec/properties.ts'
import { readPublish } from '../../broker/mqtt/codec/publish.ts'
import {
  type ConnectFields,
  connectPacket,
  type FilterFields,
  type PublishFields,
  pingPacket,
  pubackPacket,
  pubcompPacket,
  publishPacket,
  pubrecPacket,
  pubrelPacket,
  subscribePacket,
  unsubscribePacket,
} from './mqtt-bytes.ts'

export type ServerPublish = Readonly<{
  kind: 'publish'
  topic: string
  payload: string
  bytes: Buffer
  qos: number
  dup: boolean
  retain: boolean
  packetId: number
  properties: Properties
}>

type Reply = Readonly<{ packetId: number; properties: Properties }>
type Acknowledgement<Kind> = Reply & Readonly<{ kind: Kind; reason: number }>

export type ServerPacket =
  | Readonly<{ kind: 'connack'; sessionPresent: boolean; reason: number; properties: Properties }>
  | ServerPublish
  | Acknowledgement<'puback'>
  | Acknowledgement<'pubrec'>
  | Acknowledgement<'pubrel'>
  | Acknowledgement<'pubcomp'>
  | (Reply & Readonly<{ kind: 'suback'; reasons: readonly number[] }>)
  | (Reply & Readonly<{ kind: 'unsuback'; reasons: readonly number[] }>)
  | Readonly<{ kind: 'pingresp' }>
  | Readonly<{ kind: 'auth'; reason: number; properties: Properties }>
  | Readonly<{ kind: 'disconnect'; reason: number; properties: Properties }>
  | Readonly<{ kind: 'closed' }>

type PacketOf<Kind extends ServerPacket['kind']> = Kind extends unknown ? Extract<ServerPacket, { kind: Kind }> : never

const patienceMs = 10_000

/** A socket that speaks MQTT; `level` is what it reads the broker's packets as. */
export class RawMqtt {
  readonly level: Level
  readonly socket: Socket
  /** Answers QoS 1 and 2 at once; PUBREL is not shown then. */
  autoAck = false
  private rest: Buffer = Buffer.alloc(0)
  private readonly arrived: ServerPacket[] = []
  private waiting: ((packet: ServerPacket) => void) | null = null
  private lastPacketId = 0

  constructor(port: number, level: Level = 5) {
    this.level = level
    this.socket = connect({ port, host: '127.0.0.1', noDelay: true })
    this.socket.on('data', (chunk: Buffer) => this.onData(chunk))
    this.socket.on('error', () => undefined)
    this.socket.on('close', () => this.take({ kind: 'closed' }))
  }

  send(...packets: readonly Buffer[]): void {
    this.socket.write(Buffer.concat(packets))
  }

  /** The next packet, of any kind; `closed` behind the last one. */
  async next(): Promise<ServerPacket> {
    const packet = this.arrived.shift()
    if (packet) return packet
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error('no packet came in time')), patienceMs)
      this.waiting = (arrival) => {
        clearTimeout(timer)
        resolve(arrival)
      }
    })
  }

  /** The next packet, which must be of this kind. */
  async expect<Kind extends ServerPacket['kind']>(kind: Kind): Promise<PacketOf<Kind>> {
    const packet = await this.next()
    if (packet.kind !== kind) throw new Error(`expected ${kind}, got ${JSON.stringify(packet).slice(0, 300)}`)
    return packet as PacketOf<Kind>
  }

  async publishes(count: number): Promise<ServerPublish[]> {
    const packets: ServerPublish[] = []
    while (packets.length < count) packets.push(await this.expect('publish'))
    return packets
  }

  /** The end: a DISCONNECT's reason, or null when the broker just closes. */
  async ended(): Promise<number | null> {
    const packet = await this.next()
    if (packet.kind === 'closed') return null
    if (packet.kind !== 'disconnect') throw new Error(`expected the end, got ${JSON.stringify(packet).slice(0, 300)}`)
    await this.expect('closed')
    return packet.reason
  }

  /** Shows that nothing else has come: whatever was sent before is handled, and its answers stand before the pong. */
  async ping(): Promise<void> {
    this.send(pingPacket)
    await this.expect('pingresp')
  }

  async connect(fields: ConnectFields): Promise<PacketOf<'connack'>> {
    this.send(connectPacket({ level: this.level, ...fields }))
    return this.expect('connack')
  }

  /** Answers the SUBACK's codes. */
  async subscribe(filters: readonly (string | FilterFields)[], properties?: Properties): Promise<readonly number[]> {
    const asked = filters.map((filter) => (typeof filter === 'string' ? { filter } : filter))
    this.send(subscribePacket(this.level, this.packetId(), asked, properties))
    return (await this.expect('suback')).reasons
  }

  async unsubscribe(filters: readonly string[]): Promise<readonly number[]> {
    this.send(unsubscribePacket(this.level, this.packetId(), filters))
    return (await this.expect('unsuback')).reasons
  }

  /** QoS 1 waits for its PUBACK; QoS 2 goes all the way and answers the PUBREC. */
  async publish(fields: PublishFields): Promise<PacketOf<'puback' | 'pubrec'> | null> {
    const packetId = fields.packetId ?? this.packetId()
    this.send(publishPacket(this.level, { packetId, ...fields }))
    if (fields.qos === 1) return this.expect('puback')
    if (fields.qos !== 2) return null
    const pubrec = await this.expect('pubrec')
    if (pubrec.reason < 0x80) await this.release(packetId)
    return pubrec
  }

  /** PUBREL, and waits for its PUBCOMP; answers the reason. */
  async release(packetId: number): Promise<number> {
    this.send(pubrelPacket(packetId))
    return (await this.expect('pubcomp')).reason
  }

  ack(packet: Pick<ServerPublish, 'packetId'>): void {
    this.send(pubackPacket(packet.packetId))
  }

  /** Breaks the connection without a word. */
  async break(): Promise<void> {
    this.socket.resetAndDestroy()
    while ((await this.next()).kind !== 'closed');
  }

  /** DISCONNECT, and waits until the broker has closed. */
  async leave(packet: Buffer = Buffer.from([packetType.DISCONNECT << 4, 0])): Promise<void> {
    this.send(packet)
    while ((await this.next()).kind !== 'closed');
  }

  private packetId(): number {
    this.lastPacketId = (this.lastPacketId % 0xffff) + 1
    return this.lastPacketId
  }

  private onData(chunk: Buffer): void {
    const buffer = this.rest.length === 0 ? chunk : Buffer.concat([this.rest, chunk])
    let offset = 0
    for (;;) {
      const next = readFrame(buffer, offset, buffer.length, Number.POSITIVE_INFINITY)
      if (next === INCOMPLETE) break
      const packet = decode(buffer, this.level)
      offset = next
      if (this.autoAck && this.answer(packet)) continue
      this.take(packet)
    }
    this.rest = buffer.subarray(offset)
  }

  /** True: nobody else need see the packet. */
  private answer(packet: ServerPacket): boolean {
    if (packet.kind === 'pubrel') this.send(pubcompPacket(packet.packetId))
    else if (packet.kind === 'publish' && packet.qos === 1) this.ack(packet)
    else if (packet.kind === 'publish' && packet.qos === 2) this.send(pubrecPacket(packet.packetId))
    return packet.kind === 'pubrel'
  }

  private take(packet: ServerPacket): void {
    const { waiting } = this
    this.waiting = null
    if (waiting) waiting(packet)
    else this.arrived.push(packet)
  }
}

/** Connects and logs in; the CONNACK must say yes. */
export async function loginRaw(port: number, fields: ConnectFields): Promise<RawMqtt> {
  const client = new RawMqtt(port, fields.level ?? 5)
  const { reason } = await client.connect(fields)
  if (reason !== 0) throw new Error(`CONNACK ${reason}`)
  return client
}

const ackKinds = {
  [packetType.PUBACK]: 'puback',
  [packetType.PUBREC]: 'pubrec',
  [packetType.PUBREL]: 'pubrel',
  [packetType.PUBCOMP]: 'pubcomp',
} as const

/** The packet in `frame`. */
function decode(buffer: Buffer, level: Level): ServerPacket {
  const { type, bodyStart, bodyEnd } = frame
  const reader = new Reader(buffer, bodyStart, bodyEnd)
  const properties = () => (level === 5 && reader.left > 0 ? readProperties(reader, type) : {})
  switch (type) {
    case packetType.CONNACK:
      return {
        kind: 'connack',
        sessionPresent: reader.u8() === 1,
        reason: reader.u8(),
        properties: properties(),
      }
    case packetType.PUBLISH:
      return decodePublish(buffer, level)
    case packetType.PUBACK:
    case packetType.PUBREC:
    case packetType.PUBREL:
    case packetType.PUBCOMP:
      return {
        kind: ackKinds[type],
        packetId: reader.u16(),
        reason: reader.left > 0 ? reader.u8() : 0,
        properties: properties(),
      }
    case packetType.SUBACK:
    case packetType.UNSUBACK:
      return {
        kind: type === packetType.SUBACK ? 'suback' : 'unsuback',
        packetId: reader.u16(),
        properties: properties(),
        reasons: [...buffer.subarray(reader.offset, bodyEnd)],
      }
    case packetType.PINGRESP:
      return { kind: 'pingresp' }
    case packetType.AUTH:
      return { kind: 'auth', reason: reader.u8(), properties: properties() }
    case packetType.DISCONNECT:
      return { kind: 'disconnect', reason: reader.left > 0 ? reader.u8() : 0, properties: properties() }
    default:
      throw new Error(`a server does not send type ${type}`)
  }
}

function decodePublish(buffer: Buffer, level: Level): ServerPublish {
  const found = readPublish(buffer, frame, level)
  const { dup, qos, retain, packetId } = found
  const bytes = Buffer.from(buffer.subarray(found.payloadStart, found.payloadEnd))
  return {
    kind: 'publish',
    topic: buffer.toString('utf8', found.topicStart, found.topicEnd),
    payload: bytes.toString(),
    bytes,
    qos,
    dup,
    retain,
    packetId,
    properties: readPropertyList(new Reader(buffer, found.propertiesStart, found.propertiesEnd), packetType.PUBLISH),
  }
}
