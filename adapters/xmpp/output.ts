// What one connection has yet to send: written once per turn, bounded, and aware of a peer that does not read.
import type { Duplex } from 'node:stream'
import type { Framing } from './framing.ts'

export interface Output {
  write(xml: string): void
  /** Hands everything to the socket now. */
  flush(): void
  /** More waits than the limit allows: whoever can read on later stops here. */
  readonly isFull: boolean
  /** Four times as much waits: what the account's own contacts bring about has no room either. */
  readonly isOverfull: boolean
  /** Characters ever written, and how many of them have surely left for the network. */
  readonly written: number
  readonly drained: number
  /** Since when the peer has taken nothing, milliseconds of the monotonic clock; null while all is well. */
  readonly stalledSince: number | null
  /** From now on over this socket. */
  attach(socket: Duplex): void
}

type Options = Readonly<{ framing: Pick<Framing, 'isPerElement' | 'child'>; maxBytes: number; onDrain(): void }>

/** `onDrain` is called when everything has left and there was once more than a socket's worth. */
export function createOutput(first: Duplex, { framing, maxBytes, onDrain }: Options): Output {
  let socket = first
  let waiting: string[] = []
  let waitingLength = 0
  let isScheduled = false
  let written = 0
  let drained = 0
  let stalledSince: number | null = null

  function flush(): void {
    isScheduled = false
    if (waitingLength === 0) return
    const pieces = framing.isPerElement ? waiting : [waiting.join('')]
    const mark = written
    waiting = []
    waitingLength = 0
    socket.cork()
    for (const piece of pieces.slice(0, -1)) socket.write(piece)
    const hasRoom = socket.write(pieces.at(-1), (error) => {
      if (!error) drained = Math.max(drained, mark)
    })
    socket.uncork()
    if (!hasRoom) stalledSince ??= performance.now()
  }

  function drain(): void {
    stalledSince = null
    onDrain()
  }

  socket.on('drain', drain)
  return {
    flush,
    write(xml) {
      waiting.push(framing.child(xml))
      waitingLength += xml.length
      written += xml.length
      if (isScheduled) return
      isScheduled = true
      queueMicrotask(flush)
    },
    get isFull() {
      return waitingLength + socket.writableLength > maxBytes
    },
    get isOverfull() {
      return waitingLength + socket.writableLength > 4 * maxBytes
    },
    get written() {
      return written
    },
    get drained() {
      return drained
    },
    get stalledSince() {
      return stalledSince
    },
    attach(next) {
      socket.off('drain', drain)
      socket = next
      socket.on('drain', drain)
    },
  }
}
