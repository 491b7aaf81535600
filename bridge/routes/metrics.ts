import type { RequestListener } from 'node:http'
import type { FastifyRequest } from 'fastify'
import { z } from 'zod'
import type { Metrics } from '../../broker/metrics.ts'
import type { App } from '../app.ts'
import { type Bearer, demandAdmin } from '../bearer.ts'
import { type IsTrusted, isFromThisMachine } from '../peer.ts'
import { problems } from '../responses.ts'

type Deps = Readonly<{ metrics: Pick<Metrics, 'registry'>; bearer: Bearer; isTrusted: IsTrusted }>

/** GET /metrics for Prometheus: for this machine without more, for others with an administrator's token. */
export function metrics(app: App, { metrics: { registry }, bearer, isTrusted }: Deps): void {
  const onRequest = async (request: FastifyRequest): Promise<void> => {
    if (isFromThisMachine(request.raw, isTrusted)) return
    await bearer.onRequest(request)
    demandAdmin(request)
  }
  const schema = { tags: ['server'], summary: 'For Prometheus', response: { 200: z.string(), ...problems(401, 403) } }
  app.get('/metrics', { onRequest, schema, config: { rateLimit: false } }, async (_request, reply) => {
    reply.type(registry.contentType)
    return registry.metrics()
  })
}

/** For a port of its own: whoever can reach it may read. */
export function answerMetrics(registry: Deps['metrics']['registry']): RequestListener {
  return ({ method, url }, response) => {
    if (url?.split('?', 1)[0] !== '/metrics' || (method !== 'GET' && method !== 'HEAD')) {
      response.writeHead(404).end()
      return
    }
    registry.metrics().then(
      (text) => response.writeHead(200, { 'content-type': registry.contentType }).end(text),
      () => response.writeHead(500).end(),
    )
  }
}
