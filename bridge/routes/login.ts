import { z } from 'zod'
import { BrokerError } from '../../broker/errors.ts'
import type { Authenticator } from '../../broker/types.ts'
import type { App } from '../app.ts'

type Deps = Readonly<{ auth: Pick<Authenticator, 'password' | 'issueToken'> }>

const body = z.object({ username: z.string().max(4096), password: z.string().max(4096) })
const answer = z.object({ accessToken: z.string(), expiresIn: z.int() })

/** POST /v1/auth/login: a password becomes an access token. A wrong name and a wrong password look alike. */
export function login(app: App, { auth }: Deps): void {
  app.post('/v1/auth/login', { schema: { body, response: { 200: answer } } }, async (request) => {
    const principal = await auth.password(request.body.username, request.body.password)
    if (!principal) throw new BrokerError('unauthenticated', 'The user name or the password is wrong.')
    return await auth.issueToken(principal)
  })
}
