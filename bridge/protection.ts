// What every answer carries, and how many requests one network may send.
import helmet from '@fastify/helmet'
import rateLimit from '@fastify/rate-limit'
import { networkOf } from '../broker/network.ts'
import type { App } from './app.ts'
import { addressOf } from './peer.ts'
import { ProblemError } from './problem.ts'

type Options = Readonly<{
  ratePerAddress: number
  /** A certificate of one's own: a browser that remembers that this host has TLS is right. */
  hasOwnCertificate: boolean
}>

const maxNetworks = 20_000
const oneYearSeconds = 365 * 24 * 3600

/** Holds for the routes that are registered after it; those with `config: { rateLimit: false }` are not counted. */
export function protection(app: App, { ratePerAddress, hasOwnCertificate }: Options): void {
  app.register(helmet, {
    // The page of the API is read over plain HTTP as well.
    contentSecurityPolicy: { directives: { upgradeInsecureRequests: null } },
    strictTransportSecurity: hasOwnCertificate ? { maxAge: oneYearSeconds, includeSubDomains: false } : false,
  })
  app.register(rateLimit, {
    max: ratePerAddress,
    timeWindow: 60_000,
    cache: maxNetworks,
    keyGenerator: (request) => networkOf(addressOf(request)),
    errorResponseBuilder: (_request, { ttl }) =>
      new ProblemError('quota', 'Too many requests come from this address.', {
        retryAfterSeconds: Math.ceil(ttl / 1000),
      }),
  })
}
