// The HTTP border: REST, health and metrics, and the door for WebSockets.

import { fastify } from 'fastify'
import { serializerCompiler, validatorCompiler, type ZodTypeProvider } from 'fastify-type-provider-zod'
import type { Config } from '../broker/config.ts'
import type { Limits } from '../broker/limits.ts'
import type { Listeners } from '../broker/listener.ts'
import type { Logger } from '../broker/log.ts'
import { createTrust, type IsTrusted } from '../broker/network.ts'
import type { Adapter, Authenticator } from '../broker/types.ts'
import type { App } from './app.ts'
import { createBearer } from './bearer.ts'
import { createNotFound } from './not-found.ts'
import { openapi } from './openapi.ts'
import { createErrorHandler, sendProblem, toProblem } from './problem.ts'
import { protection } from './protection.ts'
import { addRoutes, type RouteDeps } from './routes/index.ts'
import { answerMetrics } from './routes/metrics.ts'
import { createServers } from './servers.ts'
import { createUpgrades, type Upgrade } from './upgrade.ts'

/** What the routes need and is made here. */
type OwnDeps = 'bearer' | 'domain' | 'isTrusted' | 'hasMetricsPort' | 'receiptTimeoutMs'

export type HttpDeps = Omit<RouteDeps, OwnDeps> &
  Readonly<{
    config: Pick<Config, 'domain' | 'http' | 'tls'>
    limits: Pick<Limits, 'loginMs'>
    listeners: Listeners
    /** What is spoken over WebSocket. */
    upgrades: readonly Upgrade[]
    auth: Pick<Authenticator, 'token'>
    /** Of the product. */
    version: string
    logger: Logger
    /** How long a POST waits for its commit. */
    receiptTimeoutMs?: number
  }>

const maxBodyBytes = 128 * 1024

export function createHttp(deps: HttpDeps): Adapter {
  const { config, logger, upgrades } = deps
  const isTrusted = createTrust(config.http.trustedProxies)
  const app = createApp(logger, isTrusted)
  const notFound = createNotFound(app)
  protection(app, { ratePerAddress: config.http.ratePerAddress, hasOwnCertificate: config.tls.cert !== null })
  app.after(() => void app.setNotFoundHandler({ preHandler: app.rateLimit() }, notFound))
  openapi(app, deps.version)
  app.register(async (scope: App) => routes(scope, deps, isTrusted))
  const servers = createServers({
    config: config.http,
    listeners: deps.listeners,
    limits: deps.limits,
    onRequest: (request, response) => app.routing(request, response),
    onMetricsRequest: answerMetrics(deps.metrics.registry),
    upgrades: {
      note: `WebSocket at ${upgrades.map(({ path }) => path).join(' and ')}`,
      attach: createUpgrades({ upgrades, isTrusted }),
    },
  })
  let stopping: Promise<void> | null = null

  return {
    async start() {
      await app.ready()
      return (await servers.open()).flatMap((listener) => listener.listening)
    },
    stop() {
      stopping ??= Promise.all([servers.close(), app.close()]).then(() => undefined)
      return stopping
    },
  }
}

function routes(app: App, deps: HttpDeps, isTrusted: IsTrusted): void {
  const { config, auth, receiptTimeoutMs = 15_000 } = deps
  const bearer = createBearer(app, { auth, ratePerAccount: config.http.ratePerAccount })
  const hasMetricsPort = config.http.metricsPort !== 'off'
  addRoutes(app, { ...deps, bearer, domain: config.domain, isTrusted, hasMetricsPort, receiptTimeoutMs })
}

function createApp(logger: Logger, isTrusted: IsTrusted): App {
  const app = fastify({
    bodyLimit: maxBodyBytes,
    trustProxy: isTrusted,
    return503OnClosing: true,
    frameworkErrors: (fault, _request, reply) => void sendProblem(reply, toProblem(fault)),
  }).withTypeProvider<ZodTypeProvider>()
  app.removeContentTypeParser('text/plain')
  takeJson(app)
  app.setValidatorCompiler(validatorCompiler)
  app.setSerializerCompiler(serializerCompiler)
  app.setErrorHandler(
    createErrorHandler((fault, request) =>
      logger.error({ err: fault, route: request.routeOptions.url }, 'a request failed'),
    ),
  )
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

/** RFC 8259 §8.1: JSON is UTF-8, and what is not is refused instead of repaired. */
function takeJson(app: App): void {
  const parse = app.getDefaultJsonParser('error', 'error')
  const utf8 = new TextDecoder('utf-8', { fatal: true })
  app.removeContentTypeParser('application/json')
  app.addContentTypeParser('application/json', { parseAs: 'buffer' }, (request, body, done) => {
    let text: string
    try {
      text = utf8.decode(body as Buffer)
    } catch {
      done(new SyntaxError('The body is not UTF-8.'))
      return
    }
    void parse(request, text, done)
  })
}
