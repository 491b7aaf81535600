// RFC 6120 §6: SASL Negotiation  https://www.rfc-editor.org/rfc/rfc6120#section-6
import { toAccountName } from '../../../broker/account-name.ts'
import { type SaslCondition, SaslFault } from '../../../broker/auth/sasl-fault.ts'
import { createScram, type Scram } from '../../../broker/auth/scram-exchange.ts'
import { BrokerError } from '../../../broker/errors.ts'
import { TransientStoreError } from '../../../broker/stores.ts'
import type { Authenticator, Login, Origin, Principal } from '../../../broker/types.ts'
import { type Element, el, textOf } from '../element.ts'
import type { ClientStream, StreamFeature } from '../feature.ts'
import { invalidToken, readOAuthBearer } from '../sasl/oauthbearer.ts'
import { readPlain } from '../sasl/plain.ts'

const ns = 'urn:ietf:params:xml:ns:xmpp-sasl'
/** §6.4.5: at least two, at most five. */
const maxTries = 3
/** Enough for a token (JWT) of 6,000 bytes in base64; what a stream may send before its login holds it. */
const maxTokenLength = 8192

type Deps = Readonly<{
  authenticator: Pick<Authenticator, 'login' | 'verifiers' | 'demandTry' | 'tried'>
  /** Prepared. */
  domain: string
}>

/** What a stream is in the middle of. */
type Exchange = {
  scram: Scram | null
  /** OAUTHBEARER: the client has been told why, and must answer that before it is over. */
  isRefused: boolean
  username: string
  tries: number
  readonly origin: Origin
}

const mechanisms = ['SCRAM-SHA-256', 'SCRAM-SHA-1', 'OAUTHBEARER', 'PLAIN'] as const
type Mechanism = (typeof mechanisms)[number]

export function createSasl({ authenticator, domain }: Deps): StreamFeature {
  const exchanges = new WeakMap<ClientStream, Exchange>()

  async function begin(element: Element, exchange: Exchange): Promise<Outcome> {
    const mechanism = mechanisms.find((name) => name === element.attrs.mechanism)
    if (mechanism === undefined) throw new SaslFault('invalid-mechanism')
    const initial = readToken(element)
    exchange.isRefused = false
    if (mechanism === 'PLAIN') return takePlain(initial, exchange)
    if (mechanism === 'OAUTHBEARER') return takeBearer(initial, exchange)
    exchange.scram = createScram(mechanism, (username) => {
      authenticator.demandTry(username, exchange.origin)
      exchange.username = username
      return authenticator.verifiers(username)
    })
    // §6.4.2: without an initial response the mechanism is asked to begin.
    return initial === null ? { challenge: '' } : step(initial, exchange)
  }

  async function takePlain(initial: Buffer | null, { origin }: Exchange): Promise<Outcome> {
    if (initial === null) throw new SaslFault('malformed-request')
    const { authzid, username, password } = readPlain(initial)
    const login = await authenticator.login(username, password, origin)
    if (login === null) throw new SaslFault('not-authorized')
    requireOwnName(authzid, login.principal, domain)
    return { login, data: null }
  }

  async function takeBearer(initial: Buffer | null, exchange: Exchange): Promise<Outcome> {
    if (initial === null) throw new SaslFault('malformed-request')
    const { authzid, token } = readOAuthBearer(initial)
    const login = await authenticator.login(authzid, token, exchange.origin)
    if (login !== null) return { login, data: null }
    exchange.isRefused = true
    return { challenge: invalidToken }
  }

  async function step(token: Buffer, exchange: Exchange): Promise<Outcome> {
    const { scram, isRefused, username, origin } = exchange
    if (isRefused) throw new SaslFault('not-authorized')
    if (scram === null) throw new SaslFault('malformed-request')
    // Of many exchanges at once only so many may be finished.
    if (username !== '') authenticator.demandTry(username, origin)
    const result = await scram.take(token)
    if ('challenge' in result) return result
    authenticator.tried(username, origin, result.principal)
    const { principal, authzid, data } = result
    if (principal === null) throw new SaslFault('not-authorized')
    requireOwnName(authzid, principal, domain)
    return { login: { principal, session: null, expiresAt: null }, data }
  }

  async function advance(stream: ClientStream, element: Element): Promise<void> {
    const exchange = exchanges.get(stream) ?? createExchange(stream)
    exchanges.set(stream, exchange)
    try {
      const outcome = await answer(element, exchange)
      if ('challenge' in outcome) return stream.send(el('challenge', ns, {}, toToken(outcome.challenge)))
      exchanges.delete(stream)
      if (stream.hasMore) return stream.fail('policy-violation', 'Nothing may follow before the login is answered.')
      stream.authenticate(
        outcome.login,
        el('success', ns, {}, ...(outcome.data === null ? [] : [toToken(outcome.data)])),
      )
    } catch (error) {
      exchange.scram = null
      exchange.isRefused = false
      exchange.username = ''
      exchange.tries++
      stream.send(el('failure', ns, {}, el(conditionOf(error), ns)))
      if (exchange.tries >= maxTries) stream.fail('policy-violation', 'Too many attempts to log in.')
    }
  }

  function answer(element: Element, exchange: Exchange): Promise<Outcome> {
    if (element.name === 'auth') return begin(element, exchange)
    if (element.name === 'abort') throw new SaslFault('aborted')
    return step(readToken(element) ?? Buffer.alloc(0), exchange)
  }

  return {
    name: 'sasl',
    spec: 'RFC 6120 §6',
    version: '2011-03',
    offer(stream) {
      if (!stream.secure || stream.principal !== null) return undefined
      return el('mechanisms', ns, {}, ...mechanisms.map((name: Mechanism) => el('mechanism', ns, {}, name)))
    },
    onElement(stream, element) {
      if (element.ns !== ns || !['auth', 'response', 'abort'].includes(element.name)) return false
      if (stream.principal !== null) return false
      if (stream.secure) return advance(stream, element).then(() => true)
      stream.send(el('failure', ns, {}, el('encryption-required', ns))) // §6.5.4
      return true
    },
  }
}

function createExchange({ address }: ClientStream): Exchange {
  return { scram: null, isRefused: false, username: '', tries: 0, origin: { border: 'xmpp', address } }
}

type Outcome = Readonly<{ challenge: string }> | Readonly<{ login: Login; data: string | null }>

/** §6.3.8: acting for another account is not offered. */
function requireOwnName(authzid: string, principal: Principal, domain: string): void {
  if (authzid !== '' && toAccountName(authzid, domain) !== principal.name) throw new SaslFault('invalid-authzid')
}

/** §6.4.2: base64, `=` for an empty token. Null: there is none. */
function readToken(element: Element): Buffer | null {
  const text = textOf(element).trim()
  if (text === '') return null
  if (text === '=') return Buffer.alloc(0)
  if (text.length > maxTokenLength) throw new SaslFault('malformed-request')
  const isBase64 = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/.test(text)
  if (!isBase64) throw new SaslFault('incorrect-encoding')
  return Buffer.from(text, 'base64')
}

function toToken(text: string): string {
  return Buffer.from(text).toString('base64')
}

function conditionOf(error: unknown): SaslCondition {
  if (error instanceof SaslFault) return error.condition
  if (error instanceof TransientStoreError) return 'temporary-auth-failure'
  if (error instanceof BrokerError && ['overload', 'throttled'].includes(error.code)) return 'temporary-auth-failure'
  throw error
}
