// One MQTT connection: its life from the first byte to the last. MQTT 5 §4.13, 3.1.1 §4.8
import type { Duplex } from 'node:stream'
import type { BrokerError } from '../errors.ts'
import type { Carrier } from '../network.ts'
import type { Publication, Wire } from '../publication.ts'
import type { Topic } from '../routes.ts'
import type { Session } from '../session.ts'
import type { SessionDevice } from '../session-parts.ts'
import { SessionEnded } from '../sessions.ts'
import type { Outgoing, Transport } from '../transport.ts'
import { type Accepted, acceptConnect } from './accept.ts'
import { type AckType, packetIdNotFound, readAck } from './codec/ack.ts'
import { ALIAS_BYTES } from './codec/aliased-publish.ts'
import { authReason, readAuth, writeAuth } from './codec/auth.ts'
import { connectLevel, readConnect } from './codec/connect.ts'
import { readDisconnect } from './codec/disconnect.ts'
import { frame } from './codec/frame.ts'
import { Malformed, protocolError, reason, UnsupportedVersion } from './codec/malformed.ts'
import { type Level, packetType } from './codec/packet-type.ts'
import { PINGRESP, readPingreq } from './codec/ping.ts'
import { readSubscribe } from './codec/subscribe.ts'
import { readUnsubscribe } from './codec/unsubscribe.ts'
import { createDevicePresence } from './device-presence.ts'
import { toWire, updateExpiry } from './encode.ts'
import type { Host } from './host.ts'
import { Input } from './input.ts'
import { OutgoingAliases } from './outgoing-aliases.ts'
import { type DrainListener, largestAliased, Output } from './output.ts'
import { type PublishOwner, PublishPath } from './publish.ts'
import { refusingConnack, toldDisconnect } from './reasons.ts'
import { Replay } from './replay.ts'
import { SessionStreams } from './streams.ts'
import { type Answered, subscribe, unsubscribe } from './subscriptions.ts'

/** Reason codes of the server's DISCONNECT that are not a packet's fault (MQTT 5 table 3-10). */
export const closeReason = {
  normal: 0x00,
  unspecified: 0x80,
  serverBusy: 0x89,
  shuttingDown: 0x8b,
  keepAliveTimeout: 0x8d,
  sessionTakenOver: 0x8e,
  administrative: 0x98,
} as const

const lingerMs = 2000

/** Reused, so that no object is made per message. */
const aliasing = { packetId: 0, alias: 0, withTopic: false }

// Shared by all connections: a closure of its own for each would be most of what an idle one keeps.
const nothing = () => undefined
function endSocket(this: Duplex): void {
  this.end()
}
/** Not every error is followed by the end: TLS that is negotiated again and again is only reported. */
function destroySocket(this: Duplex): void {
  this.destroy()
}

export class Connection implements Transport, PublishOwner, DrainListener {
  private readonly socket: Carrier
  private readonly address: string
  private readonly host: Host
  private readonly onClose: (connection: Connection) => void
  private readonly input: Input
  private readonly output: Output
  private level: Level = 4
  private accepted: Accepted | null = null
  private path: PublishPath | null = null
  private replay: Replay | null = null
  private maxPacketBytes = Number.POSITIVE_INFINITY
  private aliases: OutgoingAliases | null = null
  /** Before CONNACK: takes the client's next AUTH. */
  private asked: { method: string; answer: (data: Buffer | null) => void } | null = null
  private stopWatching: () => void = nothing
  /** A packet is being handled that others must wait for (CONNECT, SUBSCRIBE). */
  private busy = false
  /** The input waits: for `busy`, a settled publish, the quota, or its own output. */
  private stopped = false
  private quotaTimer: NodeJS.Timeout | null = null
  private closing = false
  // Counted by the sweep, once per second.
  private active = true
  private idleSeconds = 0
  private loginSeconds = 0
  private stalledSeconds = 0
  private drainedBefore = 0

  constructor(socket: Carrier, address: string, host: Host, onClose: (connection: Connection) => void) {
    this.socket = socket
    this.address = address
    this.host = host
    this.onClose = onClose
    this.input = new Input(host.limits.connectBytes, (buffer, start) => this.takePacket(buffer, start))
    this.output = new Output(socket, host, this)
    socket.on('data', (chunk: Buffer) => this.onData(chunk))
    socket.on('end', endSocket)
    socket.on('error', destroySocket)
    socket.on('close', () => this.finish('lost'))
    host.counters.mqttConnections++
    host.counters.mqttSockets++
  }

  hasRoom(): boolean {
    return this.output.pendingBytes < this.host.limits.outputBytes
  }

  send(publication: Publication, out: Outgoing): void {
    const wire = toWire(publication, this.level, out)
    if (this.aliases === null || !this.writeAliased(this.aliases, wire, publication.topic, out.packetId))
      this.write(wire, out.packetId)
  }

  encode(publication: Publication, out: Outgoing): Wire {
    return toWire(publication, this.level, out)
  }

  sendEncoded(wire: Wire, packetId: number, expiresAt: number): void {
    if (expiresAt > 0) updateExpiry(wire, expiresAt)
    this.write(wire, packetId)
  }

  /** False: it goes out without an alias. A mapping is made only with the packet that tells it. */
  private writeAliased(aliases: OutgoingAliases, wire: Wire, topic: Topic, packetId: number): boolean {
    const length = wire.end - wire.start
    if (length > largestAliased || length + ALIAS_BYTES > this.maxPacketBytes) return false
    const known = aliases.known(topic)
    const alias = known || aliases.give(topic)
    if (alias === 0) return false
    this.host.counters.mqttMessagesSent++
    aliasing.packetId = packetId
    aliasing.alias = alias
    aliasing.withTopic = known === 0
    this.output.aliased(wire, aliasing)
    return true
  }

  private write(wire: Wire, packetId: number): void {
    if (wire.end - wire.start > this.maxPacketBytes) {
      this.tooLargeForClient(wire, packetId)
      return
    }
    this.host.counters.mqttMessagesSent++
    this.output.packet(wire, packetId)
  }

  /** Ends the connection: MQTT 5 is told the reason. The Will is due. */
  close(reasonCode: number, sentence?: string): void {
    if (this.closing) return
    if (this.level === 5 && this.accepted !== null)
      this.output.bytes(toldDisconnect(this.maxPacketBytes, { reasonCode, sentence }))
    this.finish('lost')
  }

  /** Once per second. */
  sweep(): void {
    const { limits } = this.host
    this.idleSeconds = this.active || this.stopped ? 0 : this.idleSeconds + 1
    this.active = false
    const hasDrained = this.output.pendingBytes === 0 || this.output.drainedBytes !== this.drainedBefore
    this.stalledSeconds = hasDrained ? 0 : this.stalledSeconds + 1
    this.drainedBefore = this.output.drainedBytes
    this.loginSeconds = this.accepted === null ? this.loginSeconds + 1 : 0
    const keepAlive = this.accepted?.keepAlive ?? 0
    if (this.loginSeconds * 1000 > limits.loginMs) this.socket.destroy()
    else if (keepAlive > 0 && this.idleSeconds > keepAlive * 1.5)
      this.close(closeReason.keepAliveTimeout) // [MQTT-3.1.2-22]
    else if (this.stalledSeconds * 1000 >= limits.outputStallMs) this.socket.destroy()
    else if ((this.path?.waiting ?? 0) > 0 && this.host.pressure.isStalled()) this.closeOverloaded()
  }

  private closeOverloaded(): void {
    this.host.counters.overloadCloses++
    this.close(closeReason.serverBusy)
  }

  private onData(chunk: Buffer): void {
    this.active = true
    this.host.counters.mqttBytesReceived += chunk.length
    if (this.stopped || this.closing) {
      if (!this.closing) this.input.hold(chunk)
      return
    }
    this.handle(chunk)
  }

  /** Handles a chunk, or with null what was left. */
  private handle(chunk: Buffer | null): void {
    try {
      if (!this.input.add(chunk)) this.stop()
      else if (!this.hasRoom()) this.stop()
    } catch (fault) {
      // Behind the answer to what came before it.
      if (this.busy) this.stop()
      else this.fail(fault)
    }
    this.host.counters.mqttPacketsReceived += this.input.taken
    this.input.taken = 0
  }

  private stop(): void {
    if (this.stopped || this.closing) return
    this.stopped = true
    this.socket.pause()
  }

  private readonly goOn = (): void => {
    if (!this.stopped || this.busy || this.closing || this.quotaTimer !== null || !this.hasRoom()) return
    this.stopped = false
    this.handle(null)
    if (!this.stopped && !this.closing) this.socket.resume()
  }

  onDrained(): void {
    if (this.closing) return
    const { outputBytes } = this.host.limits
    if (this.output.pendingBytes > outputBytes / 2) return
    this.accepted?.session.advance()
    if (this.stopped) this.goOn()
  }

  private takePacket(buffer: Buffer, start: number): boolean {
    if (this.busy || this.closing) return false
    if (this.asked !== null) return this.takeAnswer(buffer, this.asked)
    if (this.path === null) return this.takeFirst(buffer)
    switch (frame.type) {
      case packetType.PUBLISH:
        return this.path.take(buffer, start)
      case packetType.PUBACK:
      case packetType.PUBREC:
      case packetType.PUBREL:
      case packetType.PUBCOMP:
        this.takeAck(buffer, frame.type, this.path)
        return true
      default:
        return this.takeOther(buffer)
    }
  }

  private takeAck(buffer: Buffer, type: AckType, path: PublishPath): void {
    const { packetId, reasonCode } = readAck(buffer, frame.bodyStart, frame.bodyEnd, type, this.level)
    const session = this.accepted?.session
    if (type === packetType.PUBACK) session?.acknowledge(packetId)
    else if (type === packetType.PUBCOMP) session?.complete(packetId)
    else if (type === packetType.PUBREL) path.release(packetId)
    else if (!session?.receive(packetId, reasonCode >= 0x80) && reasonCode < 0x80)
      this.output.ack(this.level, packetType.PUBREL, packetId, packetIdNotFound) // §3.6.2.1
  }

  release(packetId: number): void {
    this.output.ack(this.level, packetType.PUBREL, packetId, 0)
  }

  private takeOther(buffer: Buffer): boolean {
    const { type, bodyStart, bodyEnd } = frame
    switch (type) {
      case packetType.PINGREQ:
        readPingreq(bodyStart, bodyEnd)
        this.output.bytes(PINGRESP)
        return true
      case packetType.SUBSCRIBE: {
        const packet = readSubscribe(buffer, bodyStart, bodyEnd, this.level)
        return this.during((accepted, replay) => subscribe(this.host, accepted, this.level, packet, replay))
      }
      case packetType.UNSUBSCRIBE: {
        const packet = readUnsubscribe(buffer, bodyStart, bodyEnd, this.level)
        return this.during((accepted, replay) => unsubscribe(this.host, accepted, this.level, packet, replay))
      }
      case packetType.DISCONNECT:
        this.takeDisconnect(buffer)
        return true
      case packetType.AUTH:
        this.takeAuth(buffer)
        return true
      default:
        throw protocolError(`A packet of type ${type} is not allowed here`) // [MQTT-3.1.0-2]
    }
  }

  /** [MQTT-3.1.0-1] the first packet is CONNECT. */
  private takeFirst(buffer: Buffer): boolean {
    if (frame.type !== packetType.CONNECT) throw protocolError('The first packet is not CONNECT')
    const { bodyStart, bodyEnd } = frame
    this.level = connectLevel(buffer, bodyStart, bodyEnd) ?? 4
    try {
      const connect = readConnect(buffer, bodyStart, bodyEnd)
      this.busy = true
      this.maxPacketBytes = connect.properties.maximumPacketSize ?? Number.POSITIVE_INFINITY
      void this.connect(connect)
    } catch (fault) {
      this.refuseMalformedConnect(fault)
    }
    return true
  }

  private readonly ask = (method: string, challenge: Buffer): Promise<Buffer | null> =>
    new Promise((answer) => {
      if (this.closing) return
      this.asked = { method, answer }
      this.busy = false
      const properties = { authenticationMethod: method, authenticationData: challenge }
      this.output.bytes(writeAuth(authReason.continue, properties)) // [MQTT-4.12.0-2]
      this.goOn()
    })

  /** Until CONNACK a client sends AUTH or DISCONNECT only (§3.1.4). */
  private takeAnswer(buffer: Buffer, { method, answer }: NonNullable<typeof this.asked>): boolean {
    const { type, bodyStart, bodyEnd } = frame
    try {
      if (type === packetType.DISCONNECT) {
        this.takeDisconnect(buffer)
        return true
      }
      if (type !== packetType.AUTH) throw protocolError('Before CONNACK only AUTH may come')
      const auth = readAuth(buffer, bodyStart, bodyEnd, this.level)
      if (auth.reasonCode !== authReason.continue || auth.method !== method) throw protocolError('Another exchange') // [MQTT-4.12.0-3]
      this.asked = null
      this.busy = true
      // A copy: the buffer is the input's.
      answer(auth.properties.authenticationData ? Buffer.from(auth.properties.authenticationData) : null)
    } catch (fault) {
      this.refuseMalformedConnect(fault)
    }
    return true
  }

  private takeAuth(buffer: Buffer): void {
    const auth = readAuth(buffer, frame.bodyStart, frame.bodyEnd, this.level)
    const reauthentication = this.accepted?.reauthentication ?? null
    if (reauthentication === null) throw protocolError('CONNECT named no authentication method') // [MQTT-4.12.0-7]
    reauthentication
      .take(auth)
      .then((answer) => {
        if (typeof answer === 'number')
          this.close(answer) // §4.12.1
        else if (!this.closing) this.output.bytes(answer)
      })
      .catch((fault: unknown) => {
        this.host.logger.warn({ err: fault }, 'a re-authentication failed')
        this.close(closeReason.serverBusy)
      })
  }

  private async connect(connect: ReturnType<typeof readConnect>): Promise<void> {
    try {
      const accepted = await acceptConnect(this.host, connect, this, this.address, this.ask)
      if (typeof accepted === 'number') {
        this.refuseConnect(accepted)
        return
      }
      if (this.closing) {
        await this.host.sessions.leave(accepted.session, this, 'lost')
        return
      }
      // The password may have changed while the session was opened; from here on `onEnd` tells.
      if (accepted.principal.epoch !== accepted.loginEpoch) {
        this.refuseConnect(closeReason.administrative)
        await this.host.sessions.leave(accepted.session, this, 'good-bye')
        return
      }
      this.open(accepted)
    } catch (fault) {
      this.host.logger.warn({ err: fault }, 'a CONNECT failed')
      this.refuseConnect(closeReason.serverBusy)
    } finally {
      // It may have ended before it was let in.
      if (this.closing) this.host.gate.leave(this)
    }
  }

  private open(accepted: Accepted): void {
    const { session, principal, rights } = accepted
    this.accepted = accepted
    this.host.counters.mqttConnects++
    if (accepted.topicAliasMaximum > 0) this.aliases = new OutgoingAliases(accepted.topicAliasMaximum)
    this.input.maxPacketBytes = this.host.limits.maxPacketBytes
    this.socket.trust?.()
    this.path = new PublishPath({
      host: this.host,
      principal,
      rights,
      publisher: session,
      clientId: session.clientId,
      level: this.level,
      hearing: accepted,
      output: this.output,
      owner: this,
    })
    this.replay = new Replay(session)
    this.stopWatching = this.host.auth.onEnd(principal, () => this.close(closeReason.administrative), accepted.login)
    this.output.bytes(accepted.connack)
    session.onRoom = () => {
      session.streams?.resume()
      this.replay?.pump()
    }
    session.attach(this, accepted.receiveMaximum)
    session.streams?.open()
    if (session.streams instanceof SessionStreams) session.streams.presence.showAll()
    this.settleDevice(accepted)
    this.busy = false
    this.goOn()
  }

  onSettled(): void {
    if (this.stopped) queueMicrotask(this.goOn)
  }

  say(payload: Buffer): BrokerError | null {
    if (this.accepted === null) return null
    const { session } = this.accepted
    session.device ??= this.createDevice(this.accepted)
    return session.device?.say(payload) ?? null
  }

  closeSoon(reason: number): void {
    queueMicrotask(() => this.close(reason))
  }

  /** Most sessions never become a device that contacts see. */
  private settleDevice(accepted: Accepted): void {
    const { session } = accepted
    if (session.device === null && followsMessages(session)) session.device = this.createDevice(accepted)
    session.device?.settle()
  }

  private createDevice({ principal, session }: Accepted): SessionDevice | null {
    if (principal.account === 0) return null
    const { presence, party, publicResource, logger } = this.host
    return createDevicePresence({
      presence,
      owner: party(principal.account, principal.name),
      resource: publicResource(session.clientId),
      followsMessages: () => followsMessages(session),
      logger,
    })
  }

  /** Runs what the packets behind it must wait for; its answer goes out, then they are handled. */
  private during(work: (accepted: Accepted, replay: Replay) => Promise<Answered>): boolean {
    const { accepted, replay } = this
    if (accepted === null || replay === null) return false
    this.busy = true
    work(accepted, replay)
      .then(({ answer, after }) => {
        if (this.closing) return
        this.busy = false
        this.output.bytes(answer)
        after()
        this.settleDevice(accepted)
        this.goOn()
      })
      .catch((fault: unknown) => {
        if (fault instanceof SessionEnded) this.close(closeReason.sessionTakenOver)
        else if (!this.closing) this.fail(fault)
      })
    return true
  }

  private takeDisconnect(buffer: Buffer): void {
    const { reasonCode, properties } = readDisconnect(buffer, frame.bodyStart, frame.bodyEnd, this.level)
    const session = this.accepted?.session
    const { sessionExpiryInterval } = properties
    if (session && sessionExpiryInterval !== undefined) {
      if (session.expiryInterval === 0 && sessionExpiryInterval > 0) throw protocolError('Session expiry was 0') // [MQTT-3.14.2-2]
      session.expiryInterval = Math.min(sessionExpiryInterval, this.host.limits.sessionExpirySeconds)
    }
    this.finish(reasonCode === 0 ? 'good-bye' : 'lost') // [MQTT-3.14.4-3]: with 0 the Will is removed
  }

  pauseFor(ms: number): void {
    this.quotaTimer = setTimeout(() => {
      this.quotaTimer = null
      this.goOn()
    }, ms)
  }

  /** [MQTT-3.1.2-25]: dropped, as if it had been sent and acknowledged; QoS 2: refused, or received if sent before. */
  private tooLargeForClient({ bytes, start }: Wire, packetId: number): void {
    this.host.counters.queueDropped++
    if (packetId === 0) return
    const { session } = this.accepted ?? {}
    const first = bytes[start] as number
    const isQos2 = (first & 0x06) === 4
    const mayHaveIt = (first & 0x08) !== 0
    queueMicrotask(() => (isQos2 ? session?.receive(packetId, !mayHaveIt) : session?.acknowledge(packetId)))
  }

  private refuseMalformedConnect(fault: unknown): void {
    if (fault instanceof UnsupportedVersion) this.level = fault.answer
    // 3.1.1 has no answer to a malformed CONNECT but to close [MQTT-4.8.0-1].
    if (this.level === 4 && !(fault instanceof UnsupportedVersion)) this.finish('lost')
    else if (fault instanceof Malformed) this.refuseConnect(fault.reason, fault.message)
    else this.refuseConnect(closeReason.unspecified)
  }

  private refuseConnect(reasonCode: number, sentence?: string): void {
    if (this.closing) return
    this.output.bytes(refusingConnack(this.level, this.maxPacketBytes, { reasonCode, sentence }))
    this.finish('lost')
  }

  private fail(fault: unknown): void {
    // What was going on when the connection ended, or its session was taken over, may fail.
    if (this.closing) return
    if (fault instanceof Malformed) {
      if (fault.reason === reason.packetTooLarge) this.host.counters.limitPacketBytes++
      this.close(fault.reason, fault.message)
      return
    }
    this.host.logger.error({ err: fault }, 'an MQTT packet could not be handled')
    this.close(closeReason.unspecified)
  }

  /** Once. Writes what is left, gives the session back. */
  private finish(how: 'lost' | 'good-bye'): void {
    if (this.closing) return
    this.closing = true
    this.stopWatching()
    if (this.quotaTimer !== null) clearTimeout(this.quotaTimer)
    this.output.flush()
    this.socket.resume()
    this.socket.end()
    setTimeout(() => this.socket.destroy(), lingerMs).unref()
    this.host.counters.mqttConnections--
    this.host.gate.gone(this.address)
    this.host.gate.leave(this)
    this.onClose(this)
    const { accepted } = this
    if (accepted === null) return
    if (how === 'lost') this.host.gate.lost(accepted.principal.account, accepted.session.clientId)
    this.host.sessions
      .leave(accepted.session, this, how)
      .catch((fault: unknown) => this.host.logger.warn({ err: fault }, 'a session could not be ended'))
  }
}

function followsMessages({ streams }: Session): boolean {
  return streams instanceof SessionStreams && streams.follows('msg')
}
