// Hot path (bench: p2p-kept): queue references of sessions that are online wait a moment, so that a prompt acknowledgement
// costs no write. DESIGN §5

import { durable, type Waiter } from './durable.ts'
import type { BrokerError } from './errors.ts'
import type { Publication } from './publication.ts'
import type { Target } from './routes.ts'
import type { Receipt, ReceiptSink } from './types.ts'

/** At the second tick that it sees a reference is due: after 5 to 10 ms. */
const tickMs = 5
const none: readonly Target[] = []

/**
 * A publication that was sent to sessions and is not in their queues yet. Its publisher is acknowledged when each of its
 * references is committed, or left out because its session has acknowledged the message.
 */
export class Lingering implements ReceiptSink {
  readonly publication: Publication
  readonly position: number
  /** Whose references wait. */
  private targets: readonly Target[]
  private own: Target[] | null = null
  private readonly waiter: Waiter
  /** What waits here is one part; a second one may be in a batch already. */
  private parts: number

  constructor(publication: Publication, position: number, targets: readonly Target[], waiter: Waiter, parts: 1 | 2) {
    this.publication = publication
    this.position = position
    this.targets = targets
    this.waiter = waiter
    this.parts = parts
  }

  /** What is left has to be committed: from here on an acknowledgement changes nothing. */
  takeDue(): readonly Target[] {
    const due = this.targets
    this.targets = none
    return due
  }

  /** PUBACK of a session: its reference is left out. */
  acknowledge(session: number): void {
    const at = this.targets.findIndex(({ recipient }) => recipient.id === session)
    if (at < 0) return
    if (this.targets.length > 1) this.remove(at)
    else {
      this.targets = none
      this.settle(0, durable)
    }
  }

  /** A part is durable, or can never be. */
  settle(_token: number, outcome: Receipt | BrokerError): void {
    if (this.parts === 0) return
    this.parts = outcome === durable ? this.parts - 1 : 0
    if (this.parts === 0) this.waiter?.sink.settle(this.waiter.token, outcome)
  }

  /** The order of references means nothing. */
  private remove(at: number): void {
    this.own ??= [...this.targets]
    const last = this.own.pop()
    if (last !== undefined && at < this.own.length) this.own[at] = last
    this.targets = this.own
  }
}

export type Linger = Readonly<{
  add(lingering: Lingering, bytes: number): void
  /** Of payloads that wait. */
  waitingBytes(): number
  /** All that waits is due. */
  flush(): void
}>

/** `onDue` gets what has waited long enough, in the order in which it came. */
export function createLinger(onDue: (lingering: Lingering) => void): Linger {
  let newer: Lingering[] = []
  let older: Lingering[] = []
  let newerBytes = 0
  let olderBytes = 0
  let isTicking = false

  function turn(): void {
    for (const lingering of older) onDue(lingering)
    older = newer
    olderBytes = newerBytes
    newer = []
    newerBytes = 0
  }

  function tick(): void {
    turn()
    if (older.length > 0) setTimeout(tick, tickMs)
    else isTicking = false
  }

  return {
    add(lingering, bytes) {
      newer.push(lingering)
      newerBytes += bytes
      if (isTicking) return
      isTicking = true
      setTimeout(tick, tickMs)
    },
    waitingBytes: () => olderBytes + newerBytes,
    flush() {
      turn()
      turn()
    },
  }
}
