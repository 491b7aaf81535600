// The servers of the HTTP border: the limits of a connection, and the way they stop.
import { createServer, type RequestListener, type Server, type ServerOptions } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import type { Duplex } from 'node:stream'
import type { Config } from '../broker/config.ts'
import type { Limits } from '../broker/limits.ts'
import type { Listener, Listeners } from '../broker/listener.ts'
import { answerBrokenRequest } from './broken-request.ts'
import type { AttachUpgrades } from './upgrade.ts'

const optionsFor = ({ loginMs }: Deps['limits']): ServerOptions => ({
  maxHeaderSize: 16 * 1024,
  headersTimeout: loginMs / 2,
  requestTimeout: loginMs,
  connectionsCheckingInterval: 1000,
  keepAliveTimeout: 65_000,
  noDelay: true,
})
const stopDeadlineMs = 5000
/** Requests of one connection that are at work, or whose answers wait in memory until it is read. */
const maxStarted = 8
/** Those and the ones behind them, of which only the requests are kept. */
const maxPipelined = 100

type Deps = Readonly<{
  config: Pick<Config['http'], 'port' | 'tlsPort' | 'metricsPort'>
  listeners: Listeners
  limits: Pick<Limits, 'loginMs'>
  onRequest: RequestListener
  /** Of the server that has /metrics alone. */
  onMetricsRequest: RequestListener
  /** What else these ports take. */
  upgrades: Readonly<{ note: string; attach: AttachUpgrades }>
}>

export interface Servers {
  open(): Promise<readonly Listener[]>
  /** Takes no more, lets what runs end within a deadline, then closes every connection that still speaks HTTP. */
  close(): Promise<void>
}

export function createServers(deps: Deps): Servers {
  const { config, listeners, limits, onRequest, onMetricsRequest, upgrades } = deps
  const serverOptions = optionsFor(limits)
  const servers: Server[] = []
  const open: Listener[] = []
  const running = createRunning()

  function prepare<T extends Server>(server: T): T {
    server.on('clientError', answerBrokenRequest)
    servers.push(server)
    return server
  }

  function withUpgrades<T extends Server>(server: T): T {
    upgrades.attach(server, running.hasAnyOf)
    return prepare(server)
  }

  const { note } = upgrades
  return {
    async open() {
      const { port, tlsPort, metricsPort } = config
      open.push(
        await listeners.open({
          name: 'http',
          port,
          note,
          create: () => withUpgrades(createServer(serverOptions, running.limited(onRequest))),
        }),
        await listeners.openTls({
          name: 'https',
          port: tlsPort,
          note,
          create: (secure) => {
            const options = {
              ...serverOptions,
              ...secure,
              handshakeTimeout: limits.loginMs,
              ALPNProtocols: ['http/1.1'],
            }
            return withUpgrades(createTlsServer(options, running.limited(onRequest)))
          },
        }),
      )
      if (metricsPort === 'off') return open
      const create = () => prepare(createServer(serverOptions, running.limited(onMetricsRequest)))
      open.push(await listeners.open({ name: 'metrics', port: metricsPort, create }))
      return open
    },
    async close() {
      // WebSockets stay until their own border has said goodbye.
      for (const listener of open) void listener.close()
      await running.end(stopDeadlineMs)
      for (const server of servers) server.closeAllConnections()
    },
  }
}

type Pipeline = { started: number; readonly waiting: (() => void)[] }

/** The requests that have no answer yet, of all connections and of each. */
function createRunning() {
  const bySocket = new WeakMap<Duplex, Pipeline>()
  let total = 0
  let onIdle: (() => void) | null = null

  function settle(count: number): void {
    total -= count
    if (total === 0) onIdle?.()
  }

  function pipelineOf(socket: Duplex): Pipeline {
    const known = bySocket.get(socket)
    if (known) return known
    const made: Pipeline = { started: 0, waiting: [] }
    bySocket.set(socket, made)
    // Answers that wait for others never close.
    socket.once('close', () => {
      const count = countOf(made)
      made.started = 0
      made.waiting.length = 0
      settle(count)
    })
    return made
  }

  function start(of: Pipeline, next: () => void): void {
    of.started++
    next()
  }

  return {
    hasAnyOf: (socket: Duplex) => countOf(bySocket.get(socket)) > 0,
    /** Starts so many of a connection at once, and closes who asks too much without waiting for the answers. */
    limited(onRequest: RequestListener): RequestListener {
      return (request, response) => {
        const { socket } = request
        const of = pipelineOf(socket)
        if (countOf(of) >= maxPipelined) {
          socket.destroy()
          return
        }
        total++
        response.once('close', () => {
          if (of.started === 0) return
          of.started--
          settle(1)
          const next = socket.destroyed ? undefined : of.waiting.shift()
          if (next) start(of, next)
        })
        const next = () => onRequest(request, response)
        if (of.started < maxStarted) start(of, next)
        else of.waiting.push(next)
      }
    },
    async end(deadlineMs: number): Promise<void> {
      if (total === 0) return
      await new Promise<void>((resolve) => {
        const deadline = setTimeout(resolve, deadlineMs)
        onIdle = () => {
          clearTimeout(deadline)
          resolve()
        }
      })
    },
  }
}

function countOf(of: Pipeline | undefined): number {
  return of ? of.started + of.waiting.length : 0
}
