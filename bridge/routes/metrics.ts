import { BlockList, isIPv6 } from 'node:net'
import type { FastifyRequest } from 'fastify'
import { BrokerError } from '../../broker/errors.ts'
import type { Metrics } from '../../broker/metrics.ts'
import type { App } from '../app.ts'
import { type Bearer, principalOf } from '../bearer.ts'

type Deps = Readonly<{ metrics: Pick<Metrics, 'registry'>; bearer: Bearer }>

/** GET /metrics for Prometheus: for this machine without more, for others with an administrator's token. */
export function metrics(app: App, { metrics: { registry }, bearer }: Deps): void {
  const onRequest = async (request: FastifyRequest): Promise<void> => {
    if (isFromThisMachine(request)) return
    await bearer(request)
    if (principalOf(request).role !== 'admin') throw new BrokerError('forbidden')
  }
  app.get('/metrics', { onRequest }, async (_request, reply) => {
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
