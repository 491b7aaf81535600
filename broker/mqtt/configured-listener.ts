// A listener of the setting `listeners`.
import { createServer, type Server, type Socket } from 'node:net'
import { createServer as createTlsServer } from 'node:tls'
import { putBehindProxies } from '../behind-proxies.ts'
import type { Listener, Listeners } from '../listener.ts'
import type { ListenerConfig } from '../listener-config.ts'
import type { Counters } from '../metrics.ts'
import { unixPeer } from '../network.ts'

type Deps = Readonly<{
  listeners: Listeners
  /** For a TLS handshake, and for the header of a proxy. */
  loginMs: number
  counters: Counters
  take: (socket: Socket, address: string) => void
}>

/** @throws what `listen` of Node throws, or an Error fit for a person */
export function openConfigured(
  config: ListenerConfig,
  { listeners, loginMs, counters, take }: Deps,
): Promise<Listener> {
  const { name: note, port = 'off' as const, path, mode = '660', tls, bind, proxyProtocol, maxConnections } = config
  const named = { note, ...(maxConnections !== undefined && { maxConnections }) }
  const placed = { ...named, port, ...(bind !== undefined && { addresses: bind }) }

  /** `build` makes a server that gives each connection to what it is called with. */
  function create<S extends Server>(build: (onSocket: (socket: Socket) => void) => S): S {
    let addressOf = (socket: Socket) => (path === undefined ? (socket.remoteAddress ?? '') : unixPeer)
    const server = build((socket) => take(socket, addressOf(socket)))
    if (proxyProtocol !== undefined) {
      const onFault = () => void counters.proxyFaults++
      addressOf = putBehindProxies(server, { ...proxyProtocol, timeoutMs: loginMs, onFault })
    }
    return server
  }

  const createPlain = () => create((onSocket) => createServer({ allowHalfOpen: true, noDelay: true }, onSocket))
  if (path !== undefined) {
    return listeners.openPath({ ...named, name: 'mqtt', path, mode: Number.parseInt(mode, 8), create: createPlain })
  }
  if (tls === undefined) return listeners.open({ ...placed, name: 'mqtt', create: createPlain })
  return listeners.openTls({
    ...placed,
    name: 'mqtts',
    files: tls,
    create: (secure) =>
      create((onSocket) => createTlsServer({ noDelay: true, handshakeTimeout: loginMs, ...secure }, onSocket)),
  })
}
