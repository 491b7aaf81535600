// One TCP connection, in the clear and then under TLS: what comes in, what waits to go out, and how it ends.
import type { Socket } from 'node:net'
import { type SecureContext, TLSSocket } from 'node:tls'
import type { Limits } from '../../broker/limits.ts'
import type { Logger } from '../../broker/log.ts'
import { createOutput, type Output } from './output.ts'

const keepAliveMs = 60_000
/** What a peer has to close its side after we have closed ours. */
const closingMs = 5000

type Options = Readonly<{
  limits: Pick<Limits, 'outputBytes' | 'outputStallMs'>
  logger: Logger
  onData(bytes: Buffer): void
  /** All that waited has left. */
  onDrain(): void
  /** Once, whatever the reason. */
  onClose(): void
}>

export interface Connection {
  readonly output: Output
  readonly isSecure: boolean
  /** The peer's IP address; '' when it has gone already. */
  readonly address: string
  /** Milliseconds since it was made, at `now` of the monotonic clock. */
  age(now: number): number
  setReading(isWanted: boolean): void
  /** What has been written leaves in the clear; the next byte that is read is TLS. */
  startTls(context: SecureContext): void
  /** Sends what waits and closes; what the peer still says is not read. */
  end(): void
  /** Once a second: tears off a peer that takes nothing or does not go. */
  sweep(now: number): void
}

export function createConnection(first: Socket, options: Options): Connection {
  const { limits, logger, onData, onDrain } = options
  const output = createOutput(first, limits.outputBytes, onDrain)
  const openedAt = performance.now()
  const address = first.remoteAddress ?? ''
  let socket = first
  let endedAt: number | null = null
  let isShakingHands = false
  let isClosed = false

  function close(): void {
    if (isClosed) return
    isClosed = true
    options.onClose()
  }

  function listen(): void {
    const current = socket
    current.on('data', (bytes: Buffer) => {
      if (endedAt === null) onData(bytes)
    })
    current.once('close', close)
    // 'close' follows, and that is where a connection ends.
    current.on('error', (err) => {
      logger.debug({ err }, 'XMPP connection failed')
      current.destroy()
    })
  }

  first.setNoDelay(true).setKeepAlive(true, keepAliveMs)
  listen()
  return {
    output,
    address,
    get isSecure() {
      return socket instanceof TLSSocket
    },
    age: (now) => now - openedAt,
    setReading(isWanted) {
      if (isWanted) socket.resume()
      else socket.pause()
    },
    startTls(context) {
      output.flush()
      socket.removeAllListeners('data')
      const secured = new TLSSocket(socket, { isServer: true, secureContext: context })
      isShakingHands = true
      secured.once('secure', () => {
        isShakingHands = false
      })
      socket = secured
      output.attach(secured)
      listen()
    },
    end() {
      endedAt ??= performance.now()
      // Before the handshake is done nothing can be said.
      if (isShakingHands) socket.destroy()
      output.flush()
      socket.end()
      socket.resume()
    },
    sweep(now) {
      const { stalledSince } = output
      const isStalled = stalledSince !== null && now - stalledSince > limits.outputStallMs
      if (isStalled || (endedAt !== null && now - endedAt > closingMs)) socket.destroy()
    },
  }
}
