// CONNECT: who it is, which session, what the client is told. MQTT 5 §3.1, §3.2; 3.1.1 §3.1, §3.2
import type { Refusal } from '../connection-gate.ts'
import { BrokerError } from '../errors.ts'
import type { Rights } from '../policy.ts'
import type { Session } from '../session.ts'
import type { Transport } from '../transport.ts'
import type { Login, Principal } from '../types.ts'
import { createUuid } from '../uuid.ts'
import {
  converse,
  createAuthentication,
  createReauthentication,
  isMethod,
  type Reauthentication,
} from './authentication.ts'
import { writeConnack } from './codec/connack.ts'
import type { Connect } from './codec/connect.ts'
import { grant } from './grant.ts'
import type { Host } from './host.ts'
import type { Hearing } from './reasons.ts'
import { authoriseAgain } from './rights.ts'
import { toStoredWill } from './will.ts'

export type Accepted = Hearing &
  Readonly<{
    session: Session
    principal: Principal
    login: Login
    rights: Rights
    /** The permission epoch of the login: a change since then ends it. */
    loginEpoch: number
    /** Seconds; 0: none. */
    keepAlive: number
    /** The client's; 65,535 where it has none. */
    receiveMaximum: number
    /** 0: it wants no aliases. */
    topicAliasMaximum: number
    /** Null: CONNECT named no authentication method. */
    reauthentication: Reauthentication | null
    connack: Buffer
  }>

const reason = {
  clientIdInvalid: 0x85,
  badUserNameOrPassword: 0x86,
  notAuthorized: 0x87,
  badAuthenticationMethod: 0x8c,
} as const

/** 3.1.1 hears "unavailable", and "not authorized" of a ban. */
const gateReason: Readonly<Record<Refusal, number>> = { 'too-many': 0x97, 'too-fast': 0x9f, banned: 0x8a }

/** Logs in and opens the session. A refusal is MQTT 5's reason code. @throws when the store is away */
export async function acceptConnect(
  host: Host,
  connect: Connect,
  owner: Transport,
  address: string,
  ask: (method: string, challenge: Buffer) => Promise<Buffer | null>,
): Promise<Accepted | number> {
  const { properties, will, level } = connect
  const { authenticationMethod: method } = properties
  if (method !== undefined && !isMethod(method)) return reason.badAuthenticationMethod // [MQTT-4.12.0-1]
  const mayBeNameless = level === 5 || (connect.cleanStart && !connect.isVersion31)
  if (connect.clientId === '' && !mayBeNameless) return reason.clientIdInvalid // [MQTT-3.1.3-8], 3.1 §3.1
  const early = host.gate.knock(address)
  if (early !== null) return gateReason[early]
  const authDeps = { auth: host.auth, domain: host.domain, address }
  let authenticationData: Buffer | undefined
  let login: Login | number
  if (method === undefined) login = await logIn(host, connect, address)
  else {
    const authentication = createAuthentication(authDeps, method, connect.username)
    const first = properties.authenticationData ?? null
    const proven = await converse(authentication, first, (challenge) => ask(method, challenge))
    if (typeof proven === 'number') return proven
    authenticationData = proven.data
    login = { principal: proven.principal, session: null, expiresAt: null }
  }
  if (typeof login === 'number') return login
  const { principal } = login
  const loginEpoch = principal.epoch
  const clientId = connect.clientId || createUuid() // [MQTT-3.1.3-6]
  const rights = host.policy.rightsOf({ principal, clientId, tokenRules: login.tokenRules })
  const outside = enter(host, owner, principal.account, clientId)
  if (outside !== null) return outside
  const refused = will && host.wills.refusal(rights, will)
  if (refused) return refused
  const { keepAlive, expiryInterval, told } = grant(host.limits, connect)
  const options = { clean: connect.cleanStart, expiryInterval, will: will && toStoredWill(will) }
  const opened = await host.sessions.open(principal, clientId, options, owner).catch(quotaOf)
  if (typeof opened === 'number') return opened
  const { session, present } = opened
  session.rights = rights
  try {
    if (present) await authoriseAgain(host, session, rights)
  } catch (fault) {
    await host.sessions.leave(session, owner, 'lost')
    throw fault
  }
  return {
    session,
    principal,
    login,
    rights,
    loginEpoch,
    keepAlive,
    receiveMaximum: properties.receiveMaximum ?? 0xffff,
    problemInformation: level === 5 && properties.requestProblemInformation !== 0,
    maxPacketBytes: properties.maximumPacketSize ?? Number.POSITIVE_INFINITY,
    topicAliasMaximum: properties.topicAliasMaximum ?? 0,
    reauthentication: method === undefined ? null : createReauthentication(authDeps, method, principal),
    connack: writeConnack(level, {
      sessionPresent: present,
      reasonCode: 0,
      properties: {
        receiveMaximum: host.limits.receiveMaximum,
        maximumPacketSize: host.limits.maxPacketBytes,
        topicAliasMaximum: host.limits.topicAliases,
        sharedSubscriptionAvailable: 1,
        ...told,
        ...(method !== undefined && { authenticationMethod: method }), // [MQTT-4.12.0-5]
        ...(authenticationData !== undefined && { authenticationData }),
        ...(connect.clientId === '' && { assignedClientIdentifier: clientId }), // [MQTT-3.2.2-16]
      },
    }),
  }
}

function quotaOf(fault: unknown): number {
  if (fault instanceof BrokerError && fault.code === 'quota') return fault.mqtt
  throw fault
}

/** A refusal is MQTT 5's reason code. */
function enter({ gate, sessions }: Host, owner: Transport, account: number, clientId: string): number | null {
  if (gate.isBanned(account, clientId)) return gateReason.banned
  const refusal = gate.enter(owner, account, sessions.isConnected(account, clientId))
  return refusal && gateReason[refusal]
}

/** Without credentials it is anonymous, where that is allowed. The password may be a token, which needs no user name. */
async function logIn(host: Host, { username, password }: Connect, address: string): Promise<Login | number> {
  if (username === null && password === null) {
    return host.anonymous ? { principal: host.anonymous, session: null, expiresAt: null } : reason.notAuthorized
  }
  try {
    const login = await host.auth.login(username ?? '', password?.toString('utf8') ?? '', { border: 'mqtt', address })
    return login ?? reason.badUserNameOrPassword
  } catch (fault) {
    if (fault instanceof BrokerError && fault.code === 'throttled') return fault.mqtt
    throw fault
  }
}
