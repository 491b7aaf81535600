// What one connection has yet to send: written once per turn, bounded, and aware of a peer that does not read.
import type { Socket } from 'node:net'

export interface Output {
  write(xml: string): void
  /** Hands everything to the socket now. */
  flush(): void
  /** More waits than the limit allows: whoever can read on later stops here. */
  readonly isFull: boolean
  /** Four times as much waits: what others send beside the log has no room either. */
  readonly isOverfull: boolean
  /** Characters ever written, and how many of them have surely left for the network. */
  readonly written: number
  readonly drained: number
  /** Since when the peer has taken nothing, milliseconds of the monotonic clock; null while all is well. */
  readonly stalledSince: number | null
  /** From now on over this socket. */
  attach(socket: Socket): void
}

/** `onDrain` is called when everything has left and there was once more than a socket's worth. */
export function createOutput(first: Socket, maxBytes: number, onDrain: () => void): Output {
  let socket = first
  let waiting = ''
  let isScheduled = false
  let written = 0
  let drained = 0
  let stalledSince: number | null = null

  function flush(): void {
    isScheduled = false
    if (waiting === '') return
    const xml = waiting
    const mark = written
    waiting = ''
    const hasRoom = socket.write(xml, (error) => {
      if (!error) drained = Math.max(drained, mark)
    })
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
      waiting += xml
      written += xml.length
      if (isScheduled) return
      isScheduled = true
      queueMicrotask(flush)
    },
    get isFull() {
      return waiting.length + socket.writableLength > maxBytes
    },
    get isOverfull() {
      return waiting.length + socket.writableLength > 4 * maxBytes
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
