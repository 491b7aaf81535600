// RFC 6750: Bearer Token Usage  https://www.rfc-editor.org/rfc/rfc6750#section-2.1
import type { FastifyReply, FastifyRequest } from 'fastify'
import { BrokerError } from '../broker/errors.ts'
import type { Authenticator, Login, Origin, Principal } from '../broker/types.ts'
import type { App } from './app.ts'
import { addressOf } from './peer.ts'
import { challenge, ProblemError } from './problem.ts'

const decorator = 'login'

type Deps = Readonly<{ auth: Pick<Authenticator, 'token'>; ratePerAccount: number }>

/** A hook that lets only requests with a good token pass, so many per account; the route then asks `principalOf`. */
export function createBearer(app: App, { auth, ratePerAccount }: Deps) {
  app.decorateRequest(decorator, null)
  const countOf = app.createRateLimit({
    max: ratePerAccount,
    timeWindow: 60_000,
    keyGenerator: (request) => `account ${principalOf(request).account}`,
  })

  async function onRequest(request: FastifyRequest, reply: FastifyReply): Promise<void> {
    const token = /^Bearer +([\w.~+/-]+=*)$/i.exec(request.headers.authorization ?? '')?.[1]
    const login = token === undefined ? null : await auth.token(token, originOf(request))
    // §3.1: no more is said to who has shown no token.
    if (!login && token !== undefined) reply.header('www-authenticate', `${challenge}, error="invalid_token"`)
    if (!login) throw new BrokerError('unauthenticated', 'A valid access token is needed (Authorization: Bearer …).')
    request.setDecorator(decorator, login)
    const count = await countOf(request)
    if (count.isAllowed || !count.isExceeded) return
    throw new ProblemError('quota', 'This account sends too many requests.', { retryAfterSeconds: count.ttlInSeconds })
  }
  return { onRequest, hook: { onRequest }, security: [{ bearer: [] }] }
}

export type Bearer = ReturnType<typeof createBearer>

/** @throws when the route has no bearer hook */
export function loginOf(request: FastifyRequest): Login {
  const login = request.getDecorator<Login | null>(decorator)
  if (!login) throw new Error(`${request.url} asks for a login without a bearer hook`)
  return login
}

/** @throws when the route has no bearer hook */
export function principalOf(request: FastifyRequest): Principal {
  return loginOf(request).principal
}

/** @throws BrokerError forbidden; Error when the route has no bearer hook */
export function demandAdmin(request: FastifyRequest): Principal {
  const principal = principalOf(request)
  if (principal.role !== 'admin') throw new BrokerError('forbidden')
  return principal
}

export function originOf(request: FastifyRequest): Origin {
  return { border: 'http', address: addressOf(request) }
}
