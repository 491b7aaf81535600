// Passwords and tokens, with what is counted and told of them.
import { toAccountName } from '../account-name.ts'
import type { Authenticator, Login, Origin, Principal } from '../types.ts'
import type { PasswordCheck } from './password-check.ts'
import { preparePassword } from './scram.ts'
import { looksLikeToken, type TokenCheck } from './token-check.ts'
import type { Tries } from './tries.ts'

type Deps = Readonly<{ isPassword: PasswordCheck; checkToken: TokenCheck; tries: Tries; domain: string }>

export function createCredentials(deps: Deps): Pick<Authenticator, 'password' | 'login' | 'token'> {
  const { isPassword, checkToken, tries, domain } = deps

  async function password(username: string, secret: string, origin: Origin): Promise<Principal | null> {
    const name = toAccountName(username, domain)
    const prepared = preparePassword(secret)
    const demand = () => tries.demandTry(username, origin)
    demand()
    const entry = name === null || prepared === null ? null : await isPassword(name, prepared, demand)
    tries.tried(username, origin, entry?.principal ?? null, 'password')
    return entry?.principal ?? null
  }

  async function login(username: string, secret: string, origin: Origin): Promise<Login | null> {
    tries.demandTry(username, origin)
    const checked = looksLikeToken(secret) ? await checkToken(secret) : 'bad'
    if (checked === 'refused') return tries.refused(username, origin)
    if (checked === 'bad') {
      const principal = await password(username, secret, origin)
      return principal && { principal, session: null, expiresAt: null }
    }
    const { principal } = checked.login
    const agrees = username === '' || principal.name === toAccountName(username, domain)
    tries.tried(username, origin, agrees ? principal : null, checked.method)
    return agrees ? checked.login : null
  }

  async function token(accessToken: string, origin: Origin): Promise<Login | null> {
    const checked = await checkToken(accessToken)
    if (checked === 'refused') return null
    if (checked !== 'bad') return checked.login
    // Good ones are never held up by bad ones: there is no password to guess.
    tries.demandTry('', origin)
    tries.tried('', origin, null)
    return null
  }

  return { password, login, token }
}
