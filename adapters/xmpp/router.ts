// RFC 6120 §10 and RFC 6121 §8: Server Rules for Processing XML Stanzas  https://www.rfc-editor.org/rfc/rfc6120#section-10
import { BrokerError } from '../../broker/errors.ts'
import type { Logger } from '../../broker/log.ts'
import { TransientStoreError } from '../../broker/stores.ts'
import { clientNs, type Element, el, elementsOf } from './element.ts'
import type {
  ClientSession,
  Feature,
  Host,
  IqAnswer,
  IqHandler,
  Phase,
  Resources,
  StanzaAnswer,
  StanzaHandler,
  Target,
} from './feature.ts'
import { parseJid } from './jid.ts'
import {
  errorOf,
  isStanzaError,
  isWellFormedIq,
  readStanza,
  resultOf,
  type Stanza,
  type StanzaError,
  type StanzaName,
  stanzaError,
  toStanzaError,
} from './stanza.ts'

type Deps = Readonly<{
  /** Prepared. */
  domain: string
  resources: Resources
  logger: Logger
  features: readonly Feature[]
}>

export interface Router {
  /** Takes a stanza in the client's namespace. A promise: the stream waits, so that answers keep the order of requests. */
  take(element: Element, name: StanzaName, session: ClientSession): void | Promise<void>
  /** The session is no longer among the account's resources. */
  ended(session: ClientSession): void
}

export function createRouter({ domain, resources, logger, features }: Deps): Router {
  const registry = createRegistry(features)

  function takeIq(iq: Stanza, session: ClientSession): void | Promise<void> {
    const isRequest = iq.type === 'get' || iq.type === 'set'
    if (!isWellFormedIq(iq))
      return isRequest || iq.id !== null ? refuse(iq, session, stanzaError('bad-request', 'modify')) : undefined
    const target = targetOf(iq, session)
    if (target === 'resource') return forward(iq, session)
    if (!isRequest) return
    if (target === 'nobody') return refuse(iq, session, stanzaError('service-unavailable'))
    if (target === 'elsewhere') return refuse(iq, session, stanzaError('remote-server-not-found'))
    const [child] = elementsOf(iq.element)
    const handler = registry.iq.get(`${iq.type}/${child?.ns}/${child?.name}`)
    if (handler === undefined) return refuse(iq, session, stanzaError('service-unavailable'))
    const answer = handler(iq, session, target)
    return answer instanceof Promise ? answer.then((late) => reply(iq, session, late)) : reply(iq, session, answer)
  }

  /** Who is asked. An account other than the client's own answers nobody yet: contacts come with the roster. */
  function targetOf({ to }: Stanza, session: ClientSession): Target | 'resource' | 'nobody' | 'elsewhere' {
    if (to === null) return 'account'
    if (to.domain !== domain) return 'elsewhere'
    if (to.local === '') return to.resource === '' ? 'server' : 'nobody'
    if (to.resource !== '') return 'resource'
    return to.local === session.principal.name ? 'account' : 'nobody'
  }

  // RFC 6121 §8.5.3.1: to the very resource, or to nobody.
  function forward(iq: Stanza, session: ClientSession): void {
    const receiver = iq.to === null ? undefined : resources.find(iq.to.local, iq.to.resource)
    const stamped = { ...iq.element, attrs: { ...iq.element.attrs, from: session.address } }
    if (receiver?.offer(stamped) || iq.type === 'result' || iq.type === 'error') return
    const isThere = receiver !== undefined
    refuse(iq, session, isThere ? stanzaError('resource-constraint', 'wait') : stanzaError('service-unavailable'))
  }

  /** Stays in this turn unless a handler has to wait. */
  function run(
    handlers: readonly StanzaHandler[],
    first: number,
    stanza: Stanza,
    session: ClientSession,
  ): void | Promise<void> {
    let current = stanza
    for (let at = first; at < handlers.length; at++) {
      const answer = handlers[at]?.(current, session)
      if (answer instanceof Promise) {
        return answer.then((late) => {
          const next = proceed(late, current, session)
          return next === null ? undefined : run(handlers, at + 1, next, session)
        })
      }
      const next = proceed(answer, current, session)
      if (next === null) return
      current = next
    }
  }

  function dispatch(stanza: Stanza, session: ClientSession): void | Promise<void> {
    if (stanza.name === 'iq') return takeIq(stanza, session)
    return run(registry[stanza.name], 0, stanza, session)
  }

  function failed(stanza: Stanza, session: ClientSession, error: unknown): void {
    const isPassing = error instanceof TransientStoreError
    if (!isPassing && !(error instanceof BrokerError)) {
      logger.error({ err: error, stanza: stanza.name }, 'a stanza could not be handled')
    }
    // Who is not heard would wait for messages that never come.
    if (stanza.name === 'presence') session.fail(isPassing ? 'resource-constraint' : 'internal-server-error')
    else if (error instanceof BrokerError) refuse(stanza, session, toStanzaError(error))
    else refuse(stanza, session, toStanzaError(new BrokerError(isPassing ? 'overload' : 'internal')))
  }

  return {
    take(element, name, session) {
      if (!isOwnFrom(element.attrs.from, session)) return session.fail('invalid-from')
      const stanza = readStanza(element, name)
      if (stanza === null) return refuseMalformed(element, session)
      try {
        const pending = dispatch(stanza, session)
        return pending?.catch((error: unknown) => failed(stanza, session, error))
      } catch (error) {
        failed(stanza, session, error)
      }
    },
    ended(session) {
      for (const handle of registry.ends) handle(session)
    },
  }
}

const phases: readonly Phase[] = ['check', 'transform', 'deliver', 'after']

function createRegistry(features: readonly Feature[]) {
  const iq = new Map<string, IqHandler>()
  const message: [Phase, StanzaHandler][] = []
  const presence: [Phase, StanzaHandler][] = []
  const ends: ((session: ClientSession) => void)[] = []
  const advertised: Record<Target, string[]> = { server: [], account: [] }
  const host: Host = {
    advertised,
    advertise: (ns, target) => void advertised[target].push(ns),
    onIq(type, ns, name, handler) {
      const key = `${type}/${ns}/${name}`
      if (iq.has(key)) throw new Error(`two handlers for iq ${key}`)
      iq.set(key, handler)
    },
    onMessage: (phase, handler) => void message.push([phase, handler]),
    onPresence: (phase, handler) => void presence.push([phase, handler]),
    onSessionEnd: (handler) => void ends.push(handler),
  }
  for (const feature of features) feature.setup(host)
  return { iq, message: inPhases(message), presence: inPhases(presence), ends }
}

/** By phase, and within a phase in the order of the features. */
function inPhases(handlers: readonly [Phase, StanzaHandler][]): readonly StanzaHandler[] {
  return phases.flatMap((wanted) => handlers.filter(([phase]) => phase === wanted).map(([, handler]) => handler))
}

/** The stanza to go on with; null: its way ends here. */
function proceed(answer: StanzaAnswer, current: Stanza, session: ClientSession): Stanza | null {
  if (answer === undefined) return current
  if (answer === 'done') return null
  if ('name' in answer) return answer
  refuse(current, session, answer)
  return null
}

function reply(iq: Stanza, session: ClientSession, answer: IqAnswer): void {
  if (answer !== undefined && isStanzaError(answer)) refuse(iq, session, answer)
  else session.send(resultOf(iq.element, session.address, answer))
}

/** RFC 6120 §8.3.1: never an error about an error, nor about the answer to a request. */
function refuse(stanza: Stanza, session: ClientSession, error: StanzaError): void {
  if (stanza.type === 'error' || (stanza.name === 'iq' && stanza.type === 'result')) return
  session.send(errorOf(stanza.element, session.address, error))
}

function refuseMalformed(element: Element, session: ClientSession): void {
  const { type } = element.attrs
  if (type === 'error' || type === 'result') return
  // RFC 6120 §8.3.3.8: what cannot be an address is not repeated as one.
  const nameless = el(element.name, clientNs, { ...element.attrs, to: undefined })
  session.send(errorOf(nameless, session.address, stanzaError('jid-malformed', 'modify')))
}

/** RFC 6120 §8.1.2.1: absent, the bare JID, or the full JID. */
function isOwnFrom(from: string | undefined, session: ClientSession): boolean {
  if (from === undefined || from === session.address) return true
  const jid = parseJid(from)
  if (jid === null || jid.local !== session.jid.local || jid.domain !== session.jid.domain) return false
  return jid.resource === '' || jid.resource === session.jid.resource
}
