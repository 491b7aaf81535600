// QoS 2 publishes that a session has taken: the receiver's half of the handshake. MQTT 5 §4.3.3, 3.1.1 §4.3.3
import { BrokerError } from './errors.ts'
import type { Receipt, ReceiptSink } from './types.ts'

/**
 * Of a packet id. `publishing`: no PUBREC is due yet; `received`: repeats are answered with PUBREC only; `releasing`: PUBREL
 * has come, and PUBCOMP is due when the store has forgotten the id.
 */
export type PacketState = 'publishing' | 'received' | 'releasing'

type Waiter = Readonly<{ sink: ReceiptSink; token: number }>

/** Packet ids, and who waits for the next step of one: connections that have come since. As a sink: PUBREL's commits. */
export class ReceivedPackets implements ReceiptSink {
  private readonly states: Map<number, PacketState>
  private readonly waiters = new Map<number, Waiter[]>()

  constructor(packetIds: readonly number[]) {
    this.states = new Map(packetIds.map((packetId) => [packetId, 'received']))
  }

  /** Undefined: a publish under this id is a new message [MQTT-4.3.3-12]. */
  stateOf(packetId: number): PacketState | undefined {
    return this.states.get(packetId)
  }

  /** As they are now. */
  ids(): readonly number[] {
    return [...this.states.keys()]
  }

  /** It is handed to the bus, or to a door. */
  begin(packetId: number): void {
    this.states.set(packetId, 'publishing')
  }

  /** Told to `sink` when the step that is under way has ended. */
  wait(packetId: number, sink: ReceiptSink, token: number): void {
    const waiters = this.waiters.get(packetId)
    if (waiters === undefined) this.waiters.set(packetId, [{ sink, token }])
    else waiters.push({ sink, token })
  }

  /** The publish is durable, or refused: then the id is free [MQTT-4.3.3-9]. */
  published(packetId: number, outcome: Receipt | BrokerError): void {
    if (outcome instanceof BrokerError) this.states.delete(packetId)
    else this.states.set(packetId, 'received')
    this.tell(packetId, outcome)
  }

  release(packetId: number): void {
    this.states.set(packetId, 'releasing')
  }

  /** The store has forgotten the id, or failed to. */
  settle(packetId: number, outcome: Receipt | BrokerError): void {
    if (outcome instanceof BrokerError) this.states.set(packetId, 'received')
    else this.states.delete(packetId)
    this.tell(packetId, outcome)
  }

  private tell(packetId: number, outcome: Receipt | BrokerError): void {
    if (this.waiters.size === 0) return
    const waiters = this.waiters.get(packetId)
    if (waiters === undefined) return
    this.waiters.delete(packetId)
    for (const { sink, token } of waiters) sink.settle(token, outcome)
  }
}
