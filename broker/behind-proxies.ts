// A server whose connections come through proxies that speak the PROXY protocol.
import type { Server, Socket } from 'node:net'
import { createTrust } from './network.ts'
import { type ProxyHeader, readProxyHeader } from './proxy-protocol.ts'

type Options = Readonly<{
  /** Addresses and networks; who is not among them is a peer like any other, and sends no header. */
  from: readonly string[]
  /** For the whole header. */
  timeoutMs: number
  /** A connection is closed because its header is not good, or not there in time. */
  onFault: () => void
}>

/**
 * From now on the server's own handling of a connection (TLS too) begins behind the header. Answers how to get the
 * address of the peer whose connection it is.
 */
export function putBehindProxies(server: Server, options: Options): (socket: Socket) => string {
  const isProxy = createTrust(options.from)
  // By the two ends of the connection: TLS makes another socket of it.
  const announced = new Map<string, string>()
  const handlers = server.listeners('connection')
  const handle = (socket: Socket) => {
    for (const handler of handlers) handler.call(server, socket)
  }
  server.removeAllListeners('connection')
  server.on('connection', (socket: Socket) => {
    if (!isProxy(socket.remoteAddress ?? '')) return handle(socket)
    return awaitHeader(socket, options, ({ address }) => {
      if (address !== null) announce(socket, address)
      handle(socket)
    })
  })

  function announce(socket: Socket, address: string): void {
    const ends = endsOf(socket)
    announced.set(ends, address)
    socket.once('close', () => announced.delete(ends))
  }

  return (socket) => announced.get(endsOf(socket)) ?? socket.remoteAddress ?? ''
}

function endsOf({ remoteAddress, remotePort, localAddress }: Socket): string {
  return `${remoteAddress} ${remotePort} ${localAddress}`
}

/** What stands behind the header stays in the socket. */
function awaitHeader(socket: Socket, { timeoutMs, onFault }: Options, take: (header: ProxyHeader) => void): void {
  let bytes: Buffer = Buffer.alloc(0)
  const stop = () => {
    clearTimeout(timer)
    socket.off('readable', onReadable).off('end', onEnd).off('error', onEnd).off('close', stop)
  }
  const refuse = () => {
    stop()
    onFault()
    socket.on('error', () => undefined).destroy()
  }
  // Without a byte it was only a look whether somebody listens.
  const onEnd = () => {
    if (bytes.length > 0) return refuse()
    stop()
    socket.on('error', () => undefined).destroy()
  }
  const onReadable = () => {
    const more = socket.read() as Buffer | null
    if (more === null) return
    bytes = Buffer.concat([bytes, more])
    const header = readProxyHeader(bytes)
    if (header === 'incomplete') return
    if (header === 'malformed') return refuse()
    stop()
    if (bytes.length > header.length) socket.unshift(bytes.subarray(header.length))
    take(header)
  }
  const timer = setTimeout(refuse, timeoutMs)
  socket.on('readable', onReadable).on('end', onEnd).on('error', onEnd).on('close', stop)
}
