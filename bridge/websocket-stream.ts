// RFC 6455: a WebSocket as a stream of Node  https://www.rfc-editor.org/rfc/rfc6455
import { Duplex } from 'node:stream'
import type { WebSocket } from 'ws'

/** `binary`: a stream of bytes, cut into messages anywhere. `text`: each read and each write is one message, in UTF-8. */
export type Frames = 'binary' | 'text'

const wrongKind = 1003
type Done = (error?: Error | null) => void

/** `raw` carries the WebSocket. What waits to be sent waits in the stream, not in the WebSocket: `writableLength` is true. */
export function toStream(socket: WebSocket, raw: Duplex, frames: Frames): Duplex {
  const isBinary = frames === 'binary'
  let isEnded = false
  const send = (chunk: Buffer, done?: Done) => socket.send(chunk, { binary: isBinary }, done)

  const stream = new Duplex({
    allowHalfOpen: false,
    // Both sides have ended long before the close frame has left, and over TLS it would not leave any more.
    autoDestroy: false,
    readableObjectMode: !isBinary,
    read: () => socket.resume(),
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

  socket.on('message', (data: Buffer, isDataBinary: boolean) => {
    if (isEnded) return
    if (isDataBinary !== isBinary) {
      socket.close(wrongKind)
      end()
    } else if (data.length > 0 && !stream.push(data)) socket.pause()
  })
  // The WebSocket has told the peer what was wrong with its frames.
  socket.on('error', end)
  socket.on('close', () => {
    end()
    // What came before is read first.
    if (stream.readableEnded) stream.destroy()
    else stream.once('end', () => stream.destroy())
  })
  return stream
}
