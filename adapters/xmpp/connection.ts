// One connection, whatever carries it: what comes in, what waits to go out, and how it ends.
import { Socket } from 'node:net'
import { type SecureContext, TLSSocket } from 'node:tls'
import type { Limits } from '../../broker/limits.ts'
import type { Logger } from '../../broker/log.ts'
import type { Carrier, Peer } from '../../broker/network.ts'
import type { Framing } from './framing.ts'
import { createOutput, type Output } from './output.ts'

/** What a peer has to close its side after we have closed ours. */
const closingMs = 5000

/** What a border has accepted. */
export type Transport = Readonly<{ socket: Carrier; peer: Peer; framing: Framing }>

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
  /** The peer's IP address; '' when it is not known. */
  readonly address: string
  /** Milliseconds since it was made, at `now` of the monotonic clock. */
  age(now: number): number
  setReading(isWanted: boolean): void
  /** What has been written leaves in the clear; the next byte that is read is TLS. */
  startTls(context: SecureContext): void
  /** The peer has logged in. */
  trust(): void
  /** Sends what waits and closes; what the peer still says is not read. */
  end(): void
  /** Once a second: tears off a peer that takes nothing or does not go. */
  sweep(now: number): void
}

export function createConnection({ socket: first, peer, framing }: Transport, options: Options): Connection {
  const { limits, logger, onData, onDrain } = options
  const output = createOutput(first, { framing, maxBytes: limits.outputBytes, onDrain })
  const openedAt = performance.now()
  let socket: Carrier = first
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

  listen()
  return {
    output,
    address: peer.address,
    get isSecure() {
      return peer.isSecure || socket instanceof TLSSocket
    },
    age: (now) => now - openedAt,
    setReading(isWanted) {
      if (isWanted) socket.resume()
      else socket.pause()
    },
    trust: () => socket.trust?.(),
    startTls(context) {
      if (!(socket instanceof Socket)) throw new Error('only a plain socket begins TLS')
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
