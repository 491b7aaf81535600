// RFC 7519: JSON Web Tokens of an issuer elsewhere; RFC 8725: what makes them safe.
import { decodeJwt, decodeProtectedHeader, jwtVerify } from 'jose'
import { toAccountName } from '../account-name.ts'
import type { Config } from '../config.ts'
import type { Logger } from '../log.ts'
import type { TopicRule } from '../types.ts'
import { createJwks, type KeySource } from './jwks.ts'
import { type JwtKey, readJwtKey } from './jwt-key.ts'
import { readTokenRules } from './token-rules.ts'
import { whyNot } from './tokens.ts'

/** `expiresAt`: milliseconds since the epoch. */
export type ExternalClaims = Readonly<{
  name: string
  expiresAt: number
  /** Absent: it says nothing of plain topics. */
  tokenRules?: readonly TopicRule[]
}>

export interface ExternalTokens {
  /**
   * `refused`: the issuer's, but over, of nobody who can have an account here, or with an `acl` that cannot be understood. Null: forged, malformed, not for us.
   * @throws BrokerError overload when the issuer's keys are unknown and cannot be read now
   */
  read(token: string): Promise<ExternalClaims | 'refused' | null>
}

/** How far the issuer's clock may be ahead of ours. The end of a token is taken at its word. */
const maxClockSkewSeconds = 5

type Options = Readonly<{ jwt: Config['auth']['jwt']; domain: string; logger: Logger }>

/** Where no issuer is configured, no token is good. @throws Error when the key has become unreadable since the settings were checked */
export function createExternalTokens({ jwt, domain, logger }: Options): ExternalTokens {
  const { issuer, audience, accountClaim } = jwt
  if (issuer === null || audience === null) return { read: async () => null }
  const keys = createKeySource(jwt, logger)
  const checks = { issuer, audience, requiredClaims: ['exp', accountClaim], clockTolerance: maxClockSkewSeconds }

  return {
    async read(token) {
      const header = readHeader(token, issuer)
      const known = header && (await keys.keyFor(header))
      if (!known) return null
      const verified = await jwtVerify(token, known.key, { ...checks, algorithms: [...known.algorithms] }).catch(whyNot)
      if (verified === null) return null
      if (verified === 'expired') return 'refused'
      const { exp = 0, acl, [accountClaim]: claim } = verified.payload
      const name = typeof claim === 'string' ? toAccountName(claim, domain) : null
      const expiresAt = exp * 1000
      if (name === null || expiresAt <= Date.now()) return 'refused'
      const tokenRules = acl === undefined ? undefined : readTokenRules(acl)
      return tokenRules === null ? 'refused' : { name, expiresAt, ...(tokenRules && { tokenRules }) }
    },
  }
}

function createKeySource(jwt: Config['auth']['jwt'], logger: Logger): KeySource {
  const { jwks: url, keyFile, alg } = jwt
  if (url !== null) {
    const jwks = createJwks({ url, logger })
    void jwks.warm()
    return jwks
  }
  if (keyFile === null || alg === null) throw new Error('auth.jwt has neither a key nor a key set')
  const read = readJwtKey(keyFile, alg)
  if ('fault' in read) throw new Error(`auth.jwt.keyFile: ${read.fault}`)
  const key: JwtKey = read
  return { keyFor: async () => key }
}

/** Before its signature is known to be good: whether the token says that it is of this issuer, and by which key. */
function readHeader(token: string, issuer: string): { kid: string | undefined; alg: string } | null {
  try {
    const { alg, kid } = decodeProtectedHeader(token)
    if (alg === undefined || decodeJwt(token).iss !== issuer) return null
    return { alg, kid }
  } catch {
    return null
  }
}
