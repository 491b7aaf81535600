// The XMPP border: RFC 6120 and RFC 6121 over TCP with STARTTLS.
import { once } from 'node:events'
import { createServer, type Server } from 'node:net'
import type { SecureContext } from 'node:tls'
import { toDomain } from '../../broker/account-name.ts'
import type { Config } from '../../broker/config.ts'
import type { Presence, Rosters } from '../../broker/contacts.ts'
import type { Limits } from '../../broker/limits.ts'
import type { Logger } from '../../broker/log.ts'
import type { Counters } from '../../broker/metrics.ts'
import type { Pressure } from '../../broker/pressure.ts'
import type { Adapter, Admission, Authenticator, Followers, Listening } from '../../broker/types.ts'
import { createFeatures, createStreamFeatures } from './features/index.ts'
import { createResources } from './resources.ts'
import { createRouter } from './router.ts'
import { Session, type SessionDeps } from './session.ts'
import { Stream, type StreamDeps } from './stream.ts'

const sweepMs = 1000

export type XmppDeps = Readonly<{
  config: Pick<Config, 'domain' | 'bind' | 'xmpp'>
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
  /** The resource by which others know an MQTT device (DESIGN §3). */
  publicResource: (device: string) => string
}>

export function createXmpp(deps: XmppDeps): Adapter {
  const { config, limits, counters } = deps
  const streams = new Set<Stream>()
  const streamDeps = createStreamDeps(deps, (stream) => {
    streams.delete(stream)
    counters.xmppConnections--
  })
  const server = createServer((socket) => {
    counters.xmppConnections++
    streams.add(new Stream(streamDeps, socket))
  })
  server.maxConnections = limits.connections
  let sweeper: NodeJS.Timeout | null = null

  return {
    async start() {
      const { port, tlsPort } = config.xmpp
      const direct: Listening = {
        name: 'xmpps',
        bind: config.bind,
        port: null,
        ...(tlsPort !== 'off' && { note: 'not built yet' }),
      }
      if (port === 'off') return [{ name: 'xmpp', bind: config.bind, port: null }, direct]
      server.listen(port, config.bind)
      await once(server, 'listening')
      server.on('error', (err) => deps.logger.error({ err }, 'the XMPP listener failed'))
      sweeper = setInterval(() => {
        const now = performance.now()
        for (const stream of streams) stream.sweep(now)
      }, sweepMs)
      return [{ name: 'xmpp', bind: config.bind, port: portOf(server) }, direct]
    },

    async stop() {
      if (!server.listening && streams.size === 0) return
      const closed = new Promise((resolve) => server.close(resolve))
      for (const stream of streams) stream.fail('system-shutdown')
      // The sweep ends whoever does not say goodbye in time.
      await closed
      if (sweeper !== null) clearInterval(sweeper)
    },
  }
}

function createStreamDeps(deps: XmppDeps, onClose: (stream: Stream) => void): StreamDeps {
  const { config, authenticator } = deps
  const logger = deps.logger.child({ area: 'xmpp' })
  const domain = toDomain(config.domain) ?? config.domain
  const resources = createResources()
  const router = createRouter({
    domain,
    resources,
    logger,
    features: createFeatures({ ...deps, domain, resources, logger }),
  })
  const naming = { domain, publicResource: deps.publicResource }
  const sessionDeps: SessionDeps = { ...deps, resources, naming }
  return {
    ...deps,
    domain,
    logger,
    router,
    onClose,
    features: createStreamFeatures({ authenticator, domain, resources }),
    openSession(binding) {
      resources.find(binding.principal.name, binding.jid.resource)?.fail('conflict')
      const session = new Session(sessionDeps, binding)
      resources.add(session)
      return session
    },
    closeSession(session) {
      if (!resources.remove(session)) return
      router.ended(session)
      session.close()
    },
  }
}

function portOf(server: Server): number | null {
  const address = server.address()
  return typeof address === 'object' && address !== null ? address.port : null
}
