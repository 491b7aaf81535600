// RFC 7519: JSON Web Token  https://www.rfc-editor.org/rfc/rfc7519
import { randomUUID, webcrypto } from 'node:crypto'
import { errors, jwtVerify, SignJWT } from 'jose'
import { z } from 'zod'

export const accessLifetimeSeconds = 3600
const audience = 'clearbox'
const algorithm = 'HS256'

/** Whom a token speaks for: the account, the version of its credentials that it was made under, and the login. */
export type Claims = Readonly<{ account: number; name: string; credentialVersion: number; session: string }>

export interface Tokens {
  issue(claims: Claims): Promise<Readonly<{ accessToken: string; expiresIn: number }>>
  /** `expired`: it was good once. Null: malformed, forged, or made for another server. */
  read(accessToken: string): Promise<Claims | 'expired' | null>
}

const payloadSchema = z.object({
  sub: z.string(),
  acc: z.int().positive(),
  ver: z.int().nonnegative(),
  sid: z.string(),
})

/** Tokens of this server: HS256 under `secret` (at least 32 bytes), good for an hour. `sid` names the login. */
export function createTokens(deps: { secret: Buffer; domain: string }): Tokens {
  // Once: jose would import any other kind of key anew for each token.
  const imported = webcrypto.subtle.importKey('raw', deps.secret, { name: 'HMAC', hash: 'SHA-256' }, false, [
    'sign',
    'verify',
  ])
  const issuer = deps.domain
  return {
    async issue(claims) {
      const { account, credentialVersion, session } = claims
      const accessToken = await new SignJWT({ acc: account, ver: credentialVersion, sid: session, jti: randomUUID() })
        .setProtectedHeader({ alg: algorithm, typ: 'JWT' })
        .setSubject(claims.name)
        .setIssuer(issuer)
        .setAudience(audience)
        .setIssuedAt()
        .setExpirationTime(`${accessLifetimeSeconds}s`)
        .sign(await imported)
      return { accessToken, expiresIn: accessLifetimeSeconds }
    },

    async read(accessToken) {
      const checks = { algorithms: [algorithm], issuer, audience, requiredClaims: ['exp', 'sub'] }
      const verified = await jwtVerify(accessToken, await imported, checks).catch(whyNot)
      if (verified === 'expired') return verified
      const payload = payloadSchema.safeParse(verified?.payload)
      if (!payload.success) return null
      const { sub, acc, ver, sid } = payload.data
      return { account: acc, name: sub, credentialVersion: ver, session: sid }
    },
  }
}

/** The end of a token is looked at last, when all the rest of it is good. */
export function whyNot(fault: unknown): 'expired' | null {
  return fault instanceof errors.JWTExpired ? 'expired' : null
}
