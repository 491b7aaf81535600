// The XMPP border: RFC 6120 and RFC 6121 over TCP with STARTTLS, over TLS (XEP-0368), and over WebSocket (RFC 7395).
import { createServer, type Socket } from 'node:net'
import { createServer as createTlsServer, type SecureContext } from 'node:tls'
import { toDomain } from '../../broker/account-name.ts'
import type { Config } from '../../broker/config.ts'
import type { Presence, Rosters } from '../../broker/contacts.ts'
import type { Events } from '../../broker/happening.ts'
import type { Limits } from '../../broker/limits.ts'
import type { Listener, Listeners } from '../../broker/listener.ts'
import type { Logger } from '../../broker/log.ts'
import type { Counters } from '../../broker/metrics.ts'
import type { Carrier, Peer } from '../../broker/network.ts'
import type { Pressure } from '../../broker/pressure.ts'
import type { Adapter, Admission, Archive, Authenticator, Followers, Registrar } from '../../broker/types.ts'
import type { Transport } from './connection.ts'
import { createFeatures, createStreamFeatures } from './features/index.ts'
import { streamFraming, webSocketFraming } from './framing.ts'
import { createHibernation } from './hibernation.ts'
import { createResources } from './resources.ts'
import { createRouter } from './router.ts'
import { Session, type SessionDeps } from './session.ts'
import { Stream, type StreamDeps } from './stream.ts'

const sweepMs = 1000
const keepAliveMs = 60_000

export type XmppDeps = Readonly<{
  config: Pick<Config, 'domain' | 'xmpp' | 'registration'>
  listeners: Listeners
  limits: Limits
  counters: Counters
  logger: Logger
  secureContext: () => SecureContext
  authenticator: Authenticator
  admission: Admission
  followers: Followers
  rosters: Rosters
  presence: Presence
  /** How much waits for the database, on this node. */
  pressure: Pressure
  archive: Archive
  registrar: Registrar
  events: Events
  /** The resource by which others know an MQTT device (DESIGN §3). */
  publicResource: (device: string) => string
}>

export type XmppAdapter = Adapter &
  Readonly<{
    /** A WebSocket that another border has accepted: each read and each write is one message. */
    takeWebSocket(socket: Carrier, peer: Peer): void
  }>

export function createXmpp(deps: XmppDeps): XmppAdapter {
  const { limits, counters } = deps
  const streams = new Set<Stream>()
  let open: readonly Listener[] = []
  let sweeper: NodeJS.Timeout | null = null
  let whenEmpty: (() => void) | null = null
  const streamDeps = createStreamDeps(deps, (stream) => {
    streams.delete(stream)
    counters.xmppConnections--
    if (streams.size === 0) whenEmpty?.()
  })

  function take(transport: Transport): void {
    if (streams.size >= limits.connections) {
      transport.socket.destroy()
      return
    }
    counters.xmppConnections++
    streams.add(new Stream(streamDeps, transport))
  }

  return {
    async start() {
      open = await listen(deps, (socket, isSecure) => {
        take({ socket, peer: { address: socket.remoteAddress ?? '', isSecure }, framing: streamFraming })
      })
      sweeper = setInterval(() => {
        const now = performance.now()
        for (const stream of streams) stream.sweep(now)
        streamDeps.hibernation.sweep(now)
      }, sweepMs)
      return open.flatMap((listener) => listener.listening)
    },

    async stop() {
      for (const listener of open) void listener.close()
      const empty = new Promise<void>((resolve) => {
        whenEmpty = resolve
      })
      for (const stream of streams) stream.fail('system-shutdown')
      streamDeps.hibernation.end()
      // The sweep ends whoever does not say goodbye in time.
      if (streams.size > 0) await empty
      if (sweeper !== null) clearInterval(sweeper)
    },

    takeWebSocket: (socket, peer) => take({ socket, peer, framing: webSocketFraming }),
  }
}

async function listen(
  { config, listeners, limits }: XmppDeps,
  take: (socket: Socket, isSecure: boolean) => void,
): Promise<readonly Listener[]> {
  const options = { noDelay: true, keepAlive: true, keepAliveInitialDelay: keepAliveMs }
  const startTls = await listeners.open({
    name: 'xmpp',
    port: config.xmpp.port,
    create: () => createServer(options, (socket) => take(socket, false)),
  })
  // XEP-0368 §4: a client that names protocols names this one.
  const tlsOptions = { ...options, ALPNProtocols: ['xmpp-client'], handshakeTimeout: limits.loginMs }
  const direct = await listeners.openTls({
    name: 'xmpps',
    port: config.xmpp.tlsPort,
    create: (secure) => createTlsServer({ ...tlsOptions, ...secure }, (socket) => take(socket, true)),
  })
  return [startTls, direct]
}

function createStreamDeps(deps: XmppDeps, onClose: (stream: Stream) => void): StreamDeps {
  const { config, authenticator } = deps
  const logger = deps.logger.child({ area: 'xmpp' })
  const domain = toDomain(config.domain) ?? config.domain
  const resources = createResources()
  const naming = { domain, publicResource: deps.publicResource }
  const features = createFeatures({ ...deps, domain, resources, naming })
  const router = createRouter({ domain, resources, logger, features })
  const hibernation = createHibernation<Session>({ authenticator, close: closeSession })
  const sessionDeps: SessionDeps = { ...deps, resources, naming, end: closeSession }

  function closeSession(session: Session): void {
    if (!resources.remove(session)) return
    const { restAfter } = session
    hibernation.forget(session)
    router.ended(session)
    session.close()
    if (restAfter === null) return
    for (const other of resources.of(session.principal.name)) other.inherit(session.jid.resource, restAfter)
  }

  return {
    ...deps,
    domain,
    logger,
    router,
    onClose,
    hibernation,
    features: createStreamFeatures({ ...deps, domain, resources }),
    openSession(binding, outlet) {
      resources.find(binding.principal.name, binding.jid.resource)?.fail('conflict')
      const session = new Session(sessionDeps, binding, outlet)
      resources.add(session)
      return session
    },
    closeSession,
  }
}
