// RFC 7519: JSON Web Token  https://www.rfc-editor.org/rfc/rfc7519
import { createSecretKey, randomUUID } from 'node:crypto'
import { jwtVerify, SignJWT } from 'jose'
import { z } from 'zod'

const lifetimeSeconds = 3600
const audience = 'clearbox'
const algorithm = 'HS256'

/** Whom a token speaks for: the account, and the version of its credentials that it was made under. */
export type Claims = Readonly<{ account: number; name: string; credentialVersion: number }>

export interface Tokens {
  issue(claims: Claims): Promise<Readonly<{ accessToken: string; expiresIn: number }>>
  /** Null: malformed, forged, expired, or made for another server. */
  read(accessToken: string): Promise<Claims | null>
}

const payloadSchema = z.object({ sub: z.string(), acc: z.int().positive(), ver: z.int().nonnegative() })

/** Tokens of this server: HS256 under `secret` (at least 32 bytes), good for an hour. `sid` names the login. */
export function createTokens(deps: { secret: Buffer; domain: string }): Tokens {
  const key = createSecretKey(deps.secret)
  const issuer = deps.domain
  return {
    async issue(claims) {
      const accessToken = await new SignJWT({ acc: claims.account, ver: claims.credentialVersion, sid: randomUUID() })
        .setProtectedHeader({ alg: algorithm, typ: 'JWT' })
        .setSubject(claims.name)
        .setIssuer(issuer)
        .setAudience(audience)
        .setIssuedAt()
        .setExpirationTime(`${lifetimeSeconds}s`)
        .sign(key)
      return { accessToken, expiresIn: lifetimeSeconds }
    },

    async read(accessToken) {
      const checks = { algorithms: [algorithm], issuer, audience, requiredClaims: ['exp', 'sub'] }
      const verified = await jwtVerify(accessToken, key, checks).catch(() => null)
      const payload = payloadSchema.safeParse(verified?.payload)
      if (!payload.success) return null
      const { sub, acc, ver } = payload.data
      return { account: acc, name: sub, credentialVersion: ver }
    },
  }
}
