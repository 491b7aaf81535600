import type { RequestListener } from 'node:http'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { z } from 'zod'
import type { Metrics } from '../../broker/metrics.ts'
import { type IsTrusted, networkOf } from '../../broker/network.ts'
import type { App } from '../app.ts'
import { type Bearer, demandAdmin } from '../bearer.ts'
import { isFromThisMachine } from '../peer.ts'
import { problems } from '../responses.ts'

/** From one network. */
const maxPerSecond = 100

type Deps = Readonly<{
  metrics: Pick<Metrics, 'registry'>
  bearer: Bearer
  isTrusted: IsTrusted
  hasMetricsPort: boolean
}>

/** GET /metrics for Prometheus: for this machine without more, for others with an administrator's token; unless it has a port. */
export function metrics(app: App, { metrics: { registry }, bearer, isTrusted, hasMetricsPort }: Deps): void {
  if (hasMetricsPort) return
  const onRequest = async (request: FastifyRequest, reply: FastifyReply): Promise<void> => {
    if (isFromThisMachine(request.raw, isTrusted)) return
    await bearer.onRequest(request, reply)
    demandAdmin(request)
  }
  const schema = { tags: ['server'], summary: 'For Prometheus', response: { 200: z.string(), ...problems(401, 403) } }
  app.get('/metrics', { onRequest, schema, config: { rateLimit: false } }, async (_request, reply) => {
    reply.type(registry.contentType)
    return registry.metrics()
  })
}

/** For a port of its own: whoever can reach it may read, so often. */
export function answerMetrics(registry: Deps['metrics']['registry']): RequestListener {
  const mayAsk = createPace()
  return ({ method, url, socket }, response) => {
    if (!mayAsk(networkOf(socket.remoteAddress ?? ''))) {
      response.writeHead(429, { 'retry-after': '1' }).end()
      return
    }
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

/** Counts by the second, so that there is nothing to forget but the last one. */
function createPace(): (network: string) => boolean {
  let second = 0
  let counts = new Map<string, number>()
  return (network) => {
    const now = Math.floor(performance.now() / 1000)
    if (now !== second) counts = new Map()
    second = now
    const count = (counts.get(network) ?? 0) + 1
    counts.set(network, count)
    return count <= maxPerSecond
  }
}
