import { z } from 'zod'
import { BrokerError } from '../../broker/errors.ts'
import type { Authenticator } from '../../broker/types.ts'
import type { App } from '../app.ts'
import { type Bearer, loginOf, originOf } from '../bearer.ts'
import { problems } from '../responses.ts'

type Deps = Readonly<{
  auth: Pick<Authenticator, 'password' | 'openLogin' | 'refreshLogin' | 'endLogin'>
  bearer: Bearer
}>

const tags = ['login']
const credentials = z.strictObject({ username: z.string().max(4096), password: z.string().max(4096) })
const renewal = z.strictObject({ refreshToken: z.string().max(256) })
const pair = z.object({
  accessToken: z.string(),
  expiresIn: z.int().describe('seconds'),
  refreshToken: z.string().describe('good once, for the next pair'),
  refreshExpiresIn: z.int().describe('seconds'),
})

/**
 * POST /v1/auth/login: a password becomes a pair of tokens; a wrong name and a wrong password look alike.
 * POST /v1/auth/refresh: the next pair; a refresh token that comes back after its use ends the whole login.
 * POST /v1/auth/logout: the login of the access token ends, with all its tokens and connections; 403 for an issuer's token.
 */
export function logins(app: App, { auth, bearer }: Deps): void {
  const login = { tags, summary: 'Log in with a password', body: credentials }
  app.post('/v1/auth/login', { schema: { ...login, response: { 200: pair, ...problems(400, 401, 503) } } }, (request) =>
    logIn(request.body, originOf(request)),
  )

  const refresh = { tags, summary: 'Exchange a refresh token for a new pair', body: renewal }
  const onRefresh = { schema: { ...refresh, response: { 200: pair, ...problems(400, 401, 503) } } }
  app.post('/v1/auth/refresh', onRefresh, async (request) => {
    const next = await auth.refreshLogin(request.body.refreshToken, originOf(request))
    if (!next) throw new BrokerError('unauthenticated', 'The refresh token is not good any more: log in again.')
    return next
  })

  const logout = { tags, summary: 'End this login', security: bearer.security }
  const onLogout = { ...bearer.hook, schema: { ...logout, response: { 204: z.null(), ...problems(401, 403, 503) } } }
  app.post('/v1/auth/logout', onLogout, async (request, reply) => {
    await auth.endLogin(loginOf(request), originOf(request))
    return reply.code(204).send(null)
  })

  async function logIn({ username, password }: z.infer<typeof credentials>, origin: ReturnType<typeof originOf>) {
    const principal = await auth.password(username, password, origin)
    if (!principal) throw new BrokerError('unauthenticated', 'The user name or the password is wrong.')
    return await auth.openLogin(principal)
  }
}
