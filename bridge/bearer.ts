// RFC 6750: Bearer Token Usage  https://www.rfc-editor.org/rfc/rfc6750#section-2.1
import type { FastifyRequest } from 'fastify'
import { BrokerError } from '../broker/errors.ts'
import type { Authenticator, Principal } from '../broker/types.ts'
import type { App } from './app.ts'

const decorator = 'principal'

/** A hook that lets only requests with a good token pass; the route then asks `principalOf`. */
export function createBearer(app: App, auth: Pick<Authenticator, 'token'>) {
  app.decorateRequest(decorator, null)
  return async (request: FastifyRequest): Promise<void> => {
    const token = /^Bearer +([\w.~+/-]+=*)$/i.exec(request.headers.authorization ?? '')?.[1]
    const principal = token === undefined ? null : await auth.token(token)
    if (!principal)
      throw new BrokerError('unauthenticated', 'A valid access token is needed (Authorization: Bearer …).')
    request.setDecorator(decorator, principal)
  }
}

export type Bearer = ReturnType<typeof createBearer>

/** @throws when the route has no bearer hook */
export function principalOf(request: FastifyRequest): Principal {
  const principal = request.getDecorator<Principal | null>(decorator)
  if (!principal) throw new Error(`${request.url} asks for a principal without a bearer hook`)
  return principal
}
