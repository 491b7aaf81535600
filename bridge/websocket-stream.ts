// RFC 6455: a WebSocket as a stream of Node  https://www.rfc-editor.org/rfc/rfc6455
import { Duplex } from 'node:stream'
import type { WebSocket } from 'ws'
import type { Carrier } from '../broker/network.ts'

/** `binary`: a stream of bytes, cut into messages anywhere. `text`: each read and each write is one message, in UTF-8. */
export type Frames = 'binary' | 'text'

const wrongKind = 1003
const tooLarge = 1009
type Done = (error?: Error | null) => void

type Options = Readonly<{ frames: Frames; maxStrangerBytes: number }>

/** `raw` carries the WebSocket. What waits to be sent waits in the stream, not in the WebSocket: `writableLength` is true. */
export function toStream(socket: WebSocket, raw: Duplex, { frames, maxStrangerBytes }: Options): Carrier {
  const isBinary = frames === 'binary'
  const stranger = createStranger(socket, raw, { maxBytes: maxStrangerBytes, onTooLarge: () => refuse(tooLarge) })
  let isEnded = false
  const send = (chunk: Buffer, done?: Done) => socket.send(chunk, { binary: isBinary }, done)

  const stream = new Duplex({
    allowHalfOpen: false,
    // Both sides have ended long before the close frame has left, and over TLS it would not leave any more.
    autoDestroy: false,
    readableObjectMode: !isBinary,
    read: () => {
      if (!stranger.isHeld) socket.resume()
    },
    write: (chunk: Buffer, _encoding, done) => send(chunk, done),
    writev(chunks: readonly { chunk: Buffer }[], done) {
      raw.cork()
      for (const [index, { chunk }] of chunks.entries()) send(chunk, index === chunks.length - 1 ? done : undefined)
      raw.uncork()
    },
    final(done) {
      socket.close(1000)
      done()
    },
    destroy(error, done) {
      socket.terminate()
      done(error)
    },
  })

  function end(): void {
    if (isEnded) return
    isEnded = true
    stream.push(null)
  }

  function refuse(code: number): void {
    socket.close(code)
    end()
  }

  socket.on('message', (data: Buffer, isDataBinary: boolean) => {
    if (isEnded) return
    stranger.hasSaid()
    if (isDataBinary !== isBinary) refuse(wrongKind)
    else if (data.length > 0 && !stream.push(data)) socket.pause()
  })
  // The WebSocket has told the peer what was wrong with its frames.
  socket.on('error', end)
  socket.on('close', () => {
    end()
    // What came before is read first.
    if (stream.readableEnded) stream.destroy()
    else stream.once('end', () => stream.destroy())
  })
  return Object.assign(stream, { trust: stranger.trust })
}

/**
 * Counts what came and is not handed on yet, which is the message that is not whole, until the peer has logged in. One that
 * begins with too much is refused; behind what may be a login it waits for the outcome.
 */
function createStranger(
  socket: WebSocket,
  raw: Duplex,
  { maxBytes, onTooLarge }: Readonly<{ maxBytes: number; onTooLarge: () => void }>,
) {
  let waiting = 0
  let hasSpoken = false
  let isHeld = false

  function count(chunk: Buffer): void {
    waiting += chunk.length
    if (waiting <= maxBytes) return
    raw.off('data', count)
    isHeld = true
    socket.pause()
    if (hasSpoken) return
    onTooLarge()
    // The rest would be kept while the peer's own goodbye is waited for.
    raw.end(() => raw.destroy())
  }

  raw.on('data', count)
  return {
    get isHeld() {
      return isHeld
    },
    /** What may have come behind the message is no more than one read of the socket. */
    hasSaid(): void {
      hasSpoken = true
      waiting = 0
    },
    trust(): void {
      raw.off('data', count)
      if (!isHeld) return
      isHeld = false
      socket.resume()
    },
  }
}
