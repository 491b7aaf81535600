import { BlockList, isIPv6 } from 'node:net'
import type { FastifyRequest } from 'fastify'
import { z } from 'zod'
import type { Metrics } from '../../broker/metrics.ts'
import type { App } from '../app.ts'
import { type Bearer, demandAdmin } from '../bearer.ts'
import { problems } from '../responses.ts'

type Deps = Readonly<{ metrics: Pick<Metrics, 'registry'>; bearer: Bearer }>

/** GET /metrics for Prometheus: for this machine without more, for others with an administrator's token. */
export function metrics(app: App, { metrics: { registry }, bearer }: Deps): void {
  const onRequest = async (request: FastifyRequest): Promise<void> => {
    if (isFromThisMachine(request)) return
    await bearer.onRequest(request)
    demandAdmin(request)
  }
  const schema = { tags: ['server'], summary: 'For Prometheus', response: { 200: z.string(), ...problems(401, 403) } }
  app.get('/metrics', { onRequest, schema, config: { rateLimit: false } }, async (_request, reply) => {
    reply.type(registry.contentType)
    return registry.metrics()
  })
}

const loopback = new BlockList()
loopback.addSubnet('127.0.0.0', 8, 'ipv4')
loopback.addAddress('::1', 'ipv6')

/** A proxy on this machine speaks for others: what it forwards is not from here. */
function isFromThisMachine({ socket, headers }: FastifyRequest): boolean {
  const { remoteAddress = '' } = socket
  const isForwarded = ['forwarded', 'x-forwarded-for', 'via'].some((name) => name in headers)
  return !isForwarded && loopback.check(remoteAddress, isIPv6(remoteAddress) ? 'ipv6' : 'ipv4')
}
