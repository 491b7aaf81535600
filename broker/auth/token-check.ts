// Whether a token, ours or an issuer's, logs someone in now.
import type { Login } from '../types.ts'
import type { ExternalTokens } from './external-tokens.ts'
import type { Entry, LiveAccounts } from './live-accounts.ts'
import type { Logins } from './logins.ts'
import type { Claims, Tokens } from './tokens.ts'

/** A token of ours, or an issuer's. */
export type TokenMethod = 'token' | 'jwt'

/** `refused`: genuine, but over or without an account, which is no guess. `bad`: no token of anybody we know. */
export type Checked = Readonly<{ login: Login; method: TokenMethod }> | 'refused' | 'bad'

/** @throws BrokerError overload when the issuer's keys cannot be read now; TransientStoreError */
export type TokenCheck = (token: string) => Promise<Checked>

/** Larger ones are not looked at. */
const maxTokenLength = 8192

/** Three parts in base64url, the first of which is JSON: a password may look so, too. */
export function looksLikeToken(secret: string): boolean {
  return secret.length <= maxTokenLength && /^eyJ[\w-]+\.[\w-]+\.[\w-]+$/.test(secret)
}

type Deps = Readonly<{ live: LiveAccounts; logins: Logins; tokens: Tokens; external: ExternalTokens }>

export function createTokenCheck({ live, logins, tokens, external }: Deps): TokenCheck {
  async function checkOwn(claims: Claims): Promise<Checked> {
    const entry = live.known(claims.account) ?? (await live.load(claims.name))
    if (!entry || !isCurrent(entry, claims) || logins.isEnded(claims.session)) return 'refused'
    return { login: { principal: entry.principal, session: claims.session, expiresAt: null }, method: 'token' }
  }

  async function checkExternal(token: string): Promise<Checked> {
    const claims = await external.read(token)
    if (claims === null) return 'bad'
    if (claims === 'refused') return claims
    const entry = live.knownByName(claims.name) ?? (await live.load(claims.name))
    if (!entry) return 'refused'
    const { expiresAt, tokenRules } = claims
    return { login: { principal: entry.principal, session: null, expiresAt, tokenRules }, method: 'jwt' }
  }

  return async (token) => {
    if (!looksLikeToken(token)) return 'bad'
    const claims = await tokens.read(token)
    if (claims === 'expired') return 'refused'
    // One that we signed is never judged by an issuer's rules, even if they share a secret.
    return claims === null ? checkExternal(token) : checkOwn(claims)
  }
}

function isCurrent({ account }: Entry, claims: Claims): boolean {
  return account.id === claims.account && account.credentialVersion === claims.credentialVersion
}
