// Every listener on every address of the configuration.
import { once } from 'node:events'
import { isIPv4, type Server, type Socket } from 'node:net'
import type { Certificates } from './certificates.ts'
import type { Listener, Listeners } from './listener.ts'
import type { Logger } from './log.ts'
import type { Listening } from './types.ts'
import { listenAtPath } from './unix-socket.ts'

/** What the kernel holds for us while the loop is busy; it may hold less. */
const backlog = 4096
/** What those that close have who never said a word of TLS, or do not go. */
const closingMs = 5000

type Deps = Readonly<{
  addresses: readonly string[]
  /** Per address; more are closed at once. */
  maxConnections: number
  certificates: Pick<Certificates, 'of'>
  logger: Logger
}>

export function createListeners({ addresses: shared, maxConnections: most, certificates, logger }: Deps): Listeners {
  function prepare(server: Server, name: string, address: string, maxConnections = most): void {
    server.maxConnections = Math.min(maxConnections, most)
    server.once('listening', () => {
      server.on('error', (err) => logger.error({ err, listener: name, address }, 'a listener failed'))
    })
  }

  const open: Listeners['open'] = async ({ name, port, note, addresses = shared, maxConnections, create }) => {
    if (port === 'off') {
      return {
        listening: addresses.slice(0, 1).map((address) => ({ name, bind: address, port: null })),
        close: async () => {},
      }
    }
    const servers: Server[] = []
    const listening: Listening[] = []
    try {
      for (const address of addresses) {
        const server = create()
        prepare(server, name, address, maxConnections)
        servers.push(server)
        listening.push({
          name,
          bind: address,
          // Beside an IPv4 address `::` must leave IPv4 alone; by itself it takes both.
          port: await bind(server, { host: address, port, ipv6Only: addresses.some(isIPv4) }),
          ...(note !== undefined && { note }),
        })
      }
    } catch (fault) {
      for (const server of servers) server.close()
      throw fault
    }
    return { listening, close: createClose(servers) }
  }

  return {
    open,
    async openPath({ name, note, path, mode, maxConnections, create }) {
      const server = create()
      prepare(server, name, path, maxConnections)
      try {
        await listenAtPath(server, { path, mode, backlog })
      } catch (fault) {
        server.close()
        throw fault
      }
      const listening = [{ name, bind: '', port: null, path, ...(note !== undefined && { note }) }]
      return { listening, close: createClose([server]) }
    },
    async openTls({ files = {}, create, ...placed }) {
      const certificate = certificates.of(files)
      const forget: (() => void)[] = []
      const listener = await open({
        ...placed,
        create() {
          const server = create(certificate.options())
          // A handshake that takes too long is only reported.
          server.on('tlsClientError', (_fault, socket) => socket.destroy())
          forget.push(certificate.onChange(() => server.setSecureContext(certificate.options())))
          return server
        },
      })
      return {
        ...listener,
        async close() {
          for (const undo of forget.splice(0)) undo()
          await listener.close()
        },
      }
    },
  }
}

type Place = Readonly<{ host: string; port: number; ipv6Only: boolean }>

/** The real port. */
async function bind(server: Server, { host, port, ipv6Only }: Place): Promise<number> {
  server.listen({ host, port, backlog, ipv6Only })
  await once(server, 'listening')
  const address = server.address()
  return typeof address === 'object' && address !== null ? address.port : port
}

function createClose(servers: readonly Server[]): Listener['close'] {
  const sockets = new Set<Socket>()
  for (const server of servers) {
    server.on('connection', (socket: Socket) => {
      sockets.add(socket)
      socket.once('close', () => sockets.delete(socket))
    })
  }
  const closeServer = (server: Server) => new Promise<void>((resolve) => server.close(() => resolve()))
  let closing: Promise<void> | null = null
  return () => {
    setTimeout(() => {
      for (const socket of sockets) socket.destroy()
    }, closingMs).unref()
    closing ??= Promise.all(servers.map(closeServer)).then(() => undefined)
    return closing
  }
}
