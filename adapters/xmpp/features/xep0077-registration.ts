// XEP-0077: In-Band Registration  https://xmpp.org/extensions/xep-0077.html

import { toAccountName } from '../../../broker/account-name.ts'
import { BrokerError } from '../../../broker/errors.ts'
import { TransientStoreError } from '../../../broker/stores.ts'
import type { Origin, Registrar } from '../../../broker/types.ts'
import { childOf, childText, clientNs, type Element, el, elementsOf } from '../element.ts'
import type { ClientSession, ClientStream, Feature, IqAnswer, StreamFeature } from '../feature.ts'
import { errorOf, isStanzaError, type Stanza, type StanzaError, stanzaError, toStanzaError } from '../stanza.ts'

const ns = 'jabber:iq:register'
const offerNs = 'http://jabber.org/features/iq-register'

/** Before the login: makes accounts, when strangers may. Like a login it needs TLS. */
export function createRegistrationOffer({
  registrar,
  isOpen,
}: Readonly<{ registrar: Registrar; isOpen: boolean }>): StreamFeature {
  async function create(stream: ClientStream, query: Element): Promise<StanzaError | undefined> {
    const username = childText(query, 'username')
    const password = childText(query, 'password')
    if (!username || !password) return stanzaError('not-acceptable', 'modify') // §3.1.1
    switch (await registrar.create(username, password, originOf(stream.address))) {
      case 'created':
        return undefined
      case 'taken':
        return stanzaError('conflict')
      case 'invalid':
        return stanzaError('not-acceptable', 'modify', 'No account can have this name or this password.')
      case 'throttled':
        return stanzaError('resource-constraint', 'wait', 'Too many accounts were made from your address.')
    }
  }

  async function answer(stream: ClientStream, iq: Element, query: Element): Promise<void> {
    const result = await whatFor(stream, iq, query).catch(toRefusal)
    if (result !== undefined && isStanzaError(result)) return stream.send(errorOf(iq, undefined, result))
    const attrs = { type: 'result', id: iq.attrs.id, from: iq.attrs.to }
    stream.send(el('iq', clientNs, attrs, ...(result === undefined ? [] : [result])))
  }

  async function whatFor(
    stream: ClientStream,
    iq: Element,
    query: Element,
  ): Promise<Element | StanzaError | undefined> {
    if (!stream.secure || !isOpen) return stanzaError('not-allowed')
    if (iq.attrs.type === 'get') return form
    return childOf(query, 'remove') === undefined ? create(stream, query) : stanzaError('registration-required', 'auth')
  }

  return {
    name: 'registration',
    spec: 'XEP-0077',
    version: '2.4',
    offer: (stream) => (isOpen && stream.secure && stream.principal === null ? el('register', offerNs) : undefined),
    onElement(stream, element) {
      const query = childOf(element, 'query', ns)
      const isRequest = element.attrs.type === 'get' || element.attrs.type === 'set'
      if (element.name !== 'iq' || !isRequest || query === undefined || stream.principal !== null) return false
      return answer(stream, element, query).then(() => true)
    },
  }
}

const form = el(
  'query',
  ns,
  {},
  el('instructions', ns, {}, 'Choose a name and a password.'),
  el('username', ns),
  el('password', ns),
)

/** For an account that is logged in: its own password, and its end. */
export function createRegistration({ registrar, domain }: Readonly<{ registrar: Registrar; domain: string }>): Feature {
  function show(session: ClientSession): Element {
    const { name } = session.principal
    return el('query', ns, {}, el('registered', ns), el('username', ns, {}, name), el('password', ns))
  }

  async function change(iq: Stanza, session: ClientSession): Promise<IqAnswer> {
    const query = childOf(iq.element, 'query', ns)
    if (query === undefined) return stanzaError('bad-request', 'modify')
    if (childOf(query, 'remove') !== undefined) {
      if (elementsOf(query).length > 1) return stanzaError('bad-request', 'modify')
      // §3.2: once that is told, all streams of the account end with `not-authorized`.
      await registrar.cancel(session.principal, originOf(''))
      return undefined
    }
    const username = childText(query, 'username')
    const password = childText(query, 'password')
    if (!username || !password) return stanzaError('bad-request', 'modify')
    if (toAccountName(username, domain) !== session.principal.name) return stanzaError('not-allowed') // §3.3
    const isDone = await registrar.changePassword(session.principal, password, originOf(''))
    return isDone ? undefined : stanzaError('not-acceptable', 'modify', 'No account can have this password.')
  }

  return {
    name: 'registration',
    spec: 'XEP-0077',
    version: '2.4',
    setup(host) {
      host.advertise(ns, 'server')
      host.onIq('get', ns, 'query', (_iq, session) => show(session))
      host.onIq('set', ns, 'query', change)
    },
  }
}

/** Of a bound resource only the account is known. */
const originOf = (address: string): Origin => ({ border: 'xmpp', address })

function toRefusal(fault: unknown): StanzaError {
  if (fault instanceof BrokerError) return toStanzaError(fault)
  if (fault instanceof TransientStoreError) return toStanzaError(new BrokerError('overload'))
  throw fault
}
