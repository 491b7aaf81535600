// A client of QoS 2 that keeps its half of the session as MQTT 5 §4.3.3 and §4.4 demand, however often it is cut off.
import { setTimeout as pause } from 'node:timers/promises'
import { pubcompPacket, publishPacket, pubrecPacket, pubrelPacket } from './mqtt-bytes.ts'
import { RawMqtt, type ServerPacket } from './mqtt-raw.ts'

export type ExactClientOptions = Readonly<{
  level: 4 | 5
  username: string
  password: string
  clientId: string
  /** Asked at every step: does the connection break before what it is to send now? */
  breaks?: () => boolean
}>

type Sending = { readonly topic: string; readonly payload: string; isReceived: boolean }

const window = 20

export class ExactClient {
  /** Payloads in the order of their first coming: what an application that acts at once (method B) has seen. */
  readonly delivered: string[] = []
  /** Packet ids of messages that it has, and whose PUBREL has not come. */
  readonly received = new Set<number>()
  private readonly options: ExactClientOptions
  private readonly waiting: Sending[] = []
  /** By packet id, in the order of the first sending. */
  private readonly sending = new Map<number, Sending>()
  private raw: RawMqtt | null = null
  private lastId = 0
  private hasSession = false
  private isEnded = false

  constructor(options: ExactClientOptions) {
    this.options = options
  }

  /** All that it published is completed. */
  get isDone(): boolean {
    return this.waiting.length + this.sending.size === 0
  }

  publish(topic: string, payload: string): void {
    this.waiting.push({ topic, payload, isReceived: false })
    this.fill()
  }

  /** Connects, goes on where it was, and so again, until `end`. `port` is asked each time. */
  async run(port: () => number): Promise<void> {
    while (!this.isEnded) {
      await this.runOnce(port())
      await pause(10)
    }
  }

  private async runOnce(port: number): Promise<void> {
    const { level, username, password, clientId } = this.options
    const raw = new RawMqtt(port, level)
    const properties = level === 5 ? { properties: { sessionExpiryInterval: 1000 } } : {}
    const connack = await raw.connect({ username, password, clientId, clean: false, ...properties }).catch(() => null)
    if (this.isEnded) raw.socket.end()
    if (connack?.reason !== 0) return
    if (this.hasSession && !connack.sessionPresent) throw new Error('the broker has lost the session')
    this.hasSession = true
    this.raw = raw
    for (const [packetId, sending] of this.sending) this.sendStep(packetId, sending, true)
    this.fill()
    for (let packet = await raw.next(); packet.kind !== 'closed'; packet = await raw.next()) this.take(packet)
    this.raw = null
  }

  /** No connection from now on. */
  end(): void {
    this.isEnded = true
    this.raw?.socket.end()
  }

  private take(packet: ServerPacket): void {
    if (packet.kind === 'publish') {
      if (!this.received.has(packet.packetId)) this.delivered.push(packet.payload)
      this.received.add(packet.packetId)
      this.send(pubrecPacket(packet.packetId))
    } else if (packet.kind === 'pubrel') {
      this.received.delete(packet.packetId)
      this.send(pubcompPacket(packet.packetId))
    } else if (packet.kind === 'pubrec') {
      const sending = this.sending.get(packet.packetId)
      if (sending === undefined || packet.reason >= 0x80) throw new Error(`a PUBREC for ${packet.packetId}`)
      sending.isReceived = true
      this.send(pubrelPacket(packet.packetId))
    } else if (packet.kind === 'pubcomp') {
      this.sending.delete(packet.packetId)
      this.fill()
    }
  }

  private fill(): void {
    while (this.raw !== null && this.sending.size < window) {
      const next = this.waiting.shift()
      if (next === undefined) return
      // Few ids, so that each is used again soon.
      do this.lastId = (this.lastId % (window + 1)) + 1
      while (this.sending.has(this.lastId))
      this.sending.set(this.lastId, next)
      this.sendStep(this.lastId, next, false)
    }
  }

  private sendStep(packetId: number, { topic, payload, isReceived }: Sending, dup: boolean): void {
    const publish = { topic, payload, qos: 2, packetId, dup } as const
    this.send(isReceived ? pubrelPacket(packetId) : publishPacket(this.options.level, publish))
  }

  private send(packet: Buffer): void {
    const { raw } = this
    if (raw === null || raw.socket.destroyed) return
    if (this.options.breaks?.()) raw.socket.resetAndDestroy()
    else raw.send(packet)
  }
}
