// The HTTP border: REST, health and metrics.

import { METHODS } from 'node:http'
import type { Socket } from 'node:net'
import { type FastifyReply, type FastifyRequest, fastify } from 'fastify'
import { serializerCompiler, validatorCompiler, type ZodTypeProvider } from 'fastify-type-provider-zod'
import type { Config } from '../broker/config.ts'
import type { Presence } from '../broker/contacts.ts'
import { BrokerError } from '../broker/errors.ts'
import type { Events } from '../broker/happening.ts'
import type { Logger } from '../broker/log.ts'
import type { Metrics } from '../broker/metrics.ts'
import type { AuditStore } from '../broker/stores.ts'
import type { Adapter, Admission, Authenticator, Listening, PlainPublisher } from '../broker/types.ts'
import type { App } from './app.ts'
import { createBearer } from './bearer.ts'
import { openapi } from './openapi.ts'
import { createErrorHandler, ofStatus, sendProblem, toProblem } from './problem.ts'
import { protection } from './protection.ts'
import { audit } from './routes/audit.ts'
import { type Health, health } from './routes/health.ts'
import { history, type LookUp, type ReadHistory } from './routes/history.ts'
import { logins } from './routes/logins.ts'
import { messages } from './routes/messages.ts'
import { metrics } from './routes/metrics.ts'
import { publish } from './routes/publish.ts'
import { status } from './routes/status.ts'

export type HttpDeps = Readonly<{
  config: Pick<Config, 'bind' | 'domain' | 'http' | 'tls'>
  auth: Authenticator
  admission: Admission
  /** Of the database (DESIGN §9). */
  pressure: Readonly<{ isFull(): boolean }>
  readHistory: ReadHistory
  lookUp: LookUp
  publisher: PlainPublisher
  presence: Presence
  events: Events
  audit: Pick<AuditStore, 'read'>
  health: Health
  metrics: Pick<Metrics, 'registry'>
  logger: Logger
  /** How long a POST waits for its commit. */
  receiptTimeoutMs?: number
}>

const KiB = 1024
const maxBodyBytes = 128 * KiB
const maxHeaderBytes = 16 * KiB
const maxConnections = 10_000
const requestTimeoutMs = 30_000
const headersTimeoutMs = 15_000
const keepAliveTimeoutMs = 65_000
const stopDeadlineMs = 5000

export function createHttp(deps: HttpDeps): Adapter {
  const { config, logger } = deps
  const app = createApp(logger)
  protection(app, { ratePerAddress: config.http.ratePerAddress, hasOwnCertificate: config.tls.cert !== null })
  openapi(app)
  app.register(async (scope: App) => routes(scope, deps))
  const drain = createDrain(app)
  let stopping: Promise<void> | null = null

  return {
    async start() {
      const { bind, http } = config
      const https: Listening = { name: 'https', bind, port: null, ...(http.tlsPort !== 'off' && notBuilt) }
      if (http.port === 'off') return [{ name: 'http', bind, port: null }, https]
      await app.listen({ host: bind, port: http.port })
      return [{ name: 'http', bind, port: portOf(app) }, https]
    },
    stop() {
      stopping ??= drain()
      return stopping
    },
  }
}

function routes(app: App, deps: HttpDeps): void {
  const { config, auth, receiptTimeoutMs = 15_000 } = deps
  const bearer = createBearer(app, { auth, ratePerAccount: config.http.ratePerAccount })
  const shared = { ...deps, bearer, domain: config.domain, receiptTimeoutMs }
  logins(app, shared)
  messages(app, shared)
  history(app, shared)
  publish(app, shared)
  status(app, shared)
  audit(app, shared)
  health(app, deps)
  metrics(app, shared)
}

function portOf(app: App): number | null {
  const address = app.server.address()
  return typeof address === 'object' && address !== null ? address.port : null
}

const notBuilt = { note: 'not built yet' }

function createApp(logger: Logger): App {
  const app = fastify({
    bodyLimit: maxBodyBytes,
    requestTimeout: requestTimeoutMs,
    keepAliveTimeout: keepAliveTimeoutMs,
    http: { maxHeaderSize: maxHeaderBytes, headersTimeout: headersTimeoutMs },
    forceCloseConnections: 'idle',
    return503OnClosing: true,
    clientErrorHandler: answerBrokenRequest,
    frameworkErrors: (fault, _request, reply) => void sendProblem(reply, toProblem(fault)),
  }).withTypeProvider<ZodTypeProvider>()
  app.server.maxConnections = maxConnections
  app.removeContentTypeParser('text/plain')
  app.setValidatorCompiler(validatorCompiler)
  app.setSerializerCompiler(serializerCompiler)
  app.setErrorHandler(
    createErrorHandler((fault, request) =>
      logger.error({ err: fault, route: request.routeOptions.url }, 'a request failed'),
    ),
  )
  app.setNotFoundHandler((request, reply) => answerUnknown(app, request, reply))
  app.addHook('onRequest', async (_request, reply) => {
    reply.header('cache-control', 'no-store')
  })
  app.addHook('onResponse', async (request, reply) => {
    const { method, routeOptions, ip } = request
    logger.debug(
      { method, route: routeOptions.url, status: reply.statusCode, ms: Math.round(reply.elapsedTime), ip },
      'request',
    )
  })
  return app
}

/** 405 where another method would do, else 404. */
function answerUnknown(app: App, request: FastifyRequest, reply: FastifyReply): FastifyReply {
  const path = request.url.split('?', 1)[0] ?? '/'
  const allowed = METHODS.filter((method) => app.hasRoute({ url: path, method }))
  if (allowed.length === 0) return sendProblem(reply, toProblem(new BrokerError('not-found')))
  reply.header('allow', allowed.join(', '))
  return sendProblem(reply, ofStatus(405, `This takes ${allowed.join(' and ')}.`))
}

const brokenStatus: Readonly<Record<string, number>> = { HPE_HEADER_OVERFLOW: 431, ERR_HTTP_REQUEST_TIMEOUT: 408 }

/** What the parser refuses never becomes a request. */
function answerBrokenRequest(error: NodeJS.ErrnoException, socket: Socket): void {
  if (error.code === 'ECONNRESET' || !socket.writable) {
    socket.destroy()
    return
  }
  const problem = ofStatus(brokenStatus[error.code ?? ''] ?? 400, 'The request is not one that HTTP/1.1 knows.')
  const body = JSON.stringify(problem)
  socket.end(
    `HTTP/1.1 ${problem.status} ${problem.title}\r\nContent-Type: application/problem+json\r\n` +
      `Content-Length: ${Buffer.byteLength(body)}\r\nConnection: close\r\n\r\n${body}`,
  )
}

/** Takes no more, lets what runs end within a deadline, then closes every connection. */
function createDrain(app: App): () => Promise<void> {
  let running = 0
  let onIdle: (() => void) | null = null
  app.server.on('request', (_request, response) => {
    running++
    response.once('close', () => {
      running--
      if (running === 0) onIdle?.()
    })
  })
  return async () => {
    const closeAll = () => app.server.closeAllConnections()
    const closing = app.close()
    const deadline = setTimeout(closeAll, stopDeadlineMs)
    onIdle = closeAll
    if (running === 0) closeAll()
    await closing
    clearTimeout(deadline)
  }
}
