// MQTT 5 §4.12: enhanced authentication; the methods are SCRAM's (RFC 5802, RFC 7677), named as SASL names them.
import { toAccountName } from '../account-name.ts'
import { SaslFault } from '../auth/sasl-fault.ts'
import { createScram } from '../auth/scram-exchange.ts'
import { BrokerError } from '../errors.ts'
import type { Authenticator, Principal } from '../types.ts'
import { type Auth, authReason, writeAuth } from './codec/auth.ts'
import { protocolError } from './codec/malformed.ts'

export type Method = 'SCRAM-SHA-256' | 'SCRAM-SHA-1'
const methods: readonly string[] = ['SCRAM-SHA-256', 'SCRAM-SHA-1'] satisfies readonly Method[]

const refused = { badUserNameOrPassword: 0x86, notAuthorized: 0x87 } as const

export type Proven = Readonly<{ principal: Principal; data: Buffer }>
/** A refusal is MQTT 5's reason code. */
export type Step = Readonly<{ challenge: Buffer }> | Proven | number

export interface Authentication {
  /** The client's next message; null: a CONNECT or AUTH without data. @throws when the store is away */
  take(data: Buffer | null): Promise<Step>
}

type Deps = Readonly<{
  auth: Pick<Authenticator, 'verifiers' | 'demandTry' | 'tried'>
  domain: string
  address: string
}>

export function isMethod(name: string): name is Method {
  return methods.includes(name)
}

/** One exchange. A user name beside it must be the one that is proven; null: there is none. */
export function createAuthentication(deps: Deps, method: Method, username: string | null): Authentication {
  const { auth, domain } = deps
  const origin = { border: 'mqtt', address: deps.address } as const
  let claimed: string | null = null
  const scram = createScram(method, (name) => {
    auth.demandTry(name, origin)
    claimed = name
    return auth.verifiers(name)
  })

  async function advance(data: Buffer): Promise<Step> {
    // Of many exchanges at once only so many may be finished.
    if (claimed !== null) auth.demandTry(claimed, origin)
    const result = await scram.take(data)
    if ('challenge' in result) return { challenge: Buffer.from(result.challenge) }
    const { principal, authzid } = result
    auth.tried(claimed ?? '', origin, principal)
    if (principal === null) return refused.notAuthorized
    const isOwn = (name: string) => toAccountName(name, domain) === principal.name
    if (authzid !== '' && !isOwn(authzid)) return refused.notAuthorized
    if (username !== null && !isOwn(username)) return refused.badUserNameOrPassword
    return { principal, data: Buffer.from(result.data) }
  }

  return {
    async take(data) {
      // As SASL has it (RFC 4422 §3): without an initial message the client is asked for it.
      if (data === null && claimed === null) return { challenge: Buffer.alloc(0) }
      try {
        return await advance(data ?? Buffer.alloc(0))
      } catch (fault) {
        if (fault instanceof SaslFault) return refused.notAuthorized
        if (fault instanceof BrokerError && fault.code === 'throttled') return fault.mqtt
        throw fault
      }
    },
  }
}

/** Whole exchange before CONNACK. `ask` sends a challenge and gives the client's answer. */
export async function converse(
  authentication: Authentication,
  first: Buffer | null,
  ask: (challenge: Buffer) => Promise<Buffer | null>,
): Promise<Proven | number> {
  let step = await authentication.take(first)
  while (typeof step !== 'number' && 'challenge' in step) step = await authentication.take(await ask(step.challenge))
  return step
}

/** Re-authentication of a connection, one exchange after the other (§4.12.1). The rest of its traffic goes on. */
export function createReauthentication(deps: Deps, method: Method, principal: Principal) {
  let running: Authentication | null = null
  let isAnswering = false

  return {
    /** Answers what the client is sent, or why it is closed. @throws Malformed 0x82 */
    take({ reasonCode, method: named, properties }: Auth): Promise<Buffer | number> {
      if (named !== method) throw protocolError('Another authentication method') // [MQTT-4.12.1-1]
      const begins = reasonCode === authReason.reAuthenticate
      if (isAnswering || begins === (running !== null)) throw protocolError('This AUTH is out of turn')
      running ??= createAuthentication(deps, method, null)
      isAnswering = true
      return running.take(properties.authenticationData ?? null).then((step) => {
        isAnswering = false
        if (typeof step === 'number') return step
        const found = { authenticationMethod: method } // [MQTT-4.12.0-5]
        if ('challenge' in step) return writeAuth(authReason.continue, { ...found, authenticationData: step.challenge })
        running = null
        if (step.principal !== principal) return refused.notAuthorized
        return writeAuth(0, { ...found, authenticationData: step.data })
      })
    },
  }
}

export type Reauthentication = ReturnType<typeof createReauthentication>
