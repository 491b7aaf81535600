// QoS 2 towards one client: PUBREC, PUBREL, PUBCOMP. MQTT 5 §4.3.3, 3.1.1 §4.3.3; decision 0010
import { BrokerError } from './errors.ts'
import type { Queue } from './queue.ts'
import { type InFlight, type Origin, released, type SendWindow } from './send-window.ts'
import type { Receipt, ReceiptSink } from './types.ts'

export type ReleasesDeps = Readonly<{
  window: SendWindow
  /** The session, as the origin of what comes from its queue: that alone is in the store. */
  session: Origin & Readonly<{ id: number }>
  queue: Pick<Queue, 'release'>
  /** Writes PUBREL, if there is a connection. */
  send: (packetId: number) => void
  /** The store failed: the connection must end. */
  end: (fault: BrokerError) => void
  /** A message is done with, or its packet id may be used again. */
  onRoom: () => void
}>

export class Releases implements ReceiptSink {
  private readonly deps: ReleasesDeps
  /** Packet ids of the queue whose references may still be in the store: no other message can have them. */
  private readonly completed = new Set<number>()

  constructor(deps: ReleasesDeps) {
    this.deps = deps
  }

  /** No message is in flight under this id, and the store has none that was. */
  isFree(packetId: number): boolean {
    return !this.deps.window.has(packetId) && !this.completed.has(packetId)
  }

  /**
   * PUBREC [MQTT-4.3.3-4]; `refused`: its reason is 0x80 or above. A message of the queue is marked in the store before
   * PUBREL leaves: after a restart it must not be sent again [MQTT-4.3.3-6]. False: nothing is in flight under this id.
   */
  receive(packetId: number, refused: boolean): boolean {
    const { window, session, queue, send } = this.deps
    const entry = window.receive(packetId)
    if (entry === null) return false
    if (entry === released || entry.stage === 'released') {
      if (refused) this.free(packetId)
      else send(packetId)
    } else if (entry.stage === 'sent') {
      entry.stage = refused ? 'refused' : 'keeping'
      if (entry.origin !== session) this.proceed(entry, packetId)
      else queue.release({ session: session.id, position: entry.place }, { sink: this, token: packetId })
    }
    return true
  }

  /** What PUBREC said is in the store. */
  settle(packetId: number, outcome: Receipt | BrokerError): void {
    const entry = this.deps.window.receive(packetId)
    if (entry === null || entry === released) return
    if (outcome instanceof BrokerError) {
      entry.stage = 'sent'
      this.deps.end(outcome)
    } else this.proceed(entry, packetId)
  }

  /** PUBCOMP. */
  complete(packetId: number): void {
    const entry = this.deps.window.complete(packetId)
    if (entry !== null) this.finish(packetId, typeof entry === 'symbol' ? null : entry)
  }

  completedIds(): readonly number[] {
    return [...this.completed]
  }

  /** The store knows that these are done with. */
  saved(packetIds: readonly number[]): void {
    for (const packetId of packetIds) this.completed.delete(packetId)
  }

  private proceed(entry: InFlight, packetId: number): void {
    const isRefused = entry.stage === 'refused'
    entry.stage = 'released'
    if (isRefused) this.free(packetId)
    else this.deps.send(packetId)
  }

  private free(packetId: number): void {
    const entry = this.deps.window.release(packetId)
    if (entry !== null) this.finish(packetId, typeof entry === 'symbol' ? null : entry)
  }

  private finish(packetId: number, entry: InFlight | null): void {
    if (entry?.origin === this.deps.session) this.completed.add(packetId)
    entry?.origin.acknowledged(entry.place, entry.publication)
    this.deps.onRoom()
  }
}
