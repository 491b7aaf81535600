// RFC 6121 §4: Exchanging Presence Information  https://www.rfc-editor.org/rfc/rfc6121#section-4
import { childText, clientNs, type Element, el } from '../element.ts'
import type { ClientSession, Feature, Resources, StanzaAnswer } from '../feature.ts'
import { type Stanza, stanzaError } from '../stanza.ts'

type Deps = Readonly<{
  resources: Resources
  /** The element without what only a server may say. */
  sanitise(element: Element): Element
}>

/** Among an account's own resources. Contacts, and with them subscriptions and probes, come with the roster. */
export function createPresence({ resources, sanitise }: Deps): Feature {
  function available(session: ClientSession): readonly ClientSession[] {
    return resources.of(session.principal.name).filter((other) => other.presence !== null)
  }

  /** §4.2.2 and §4.4.2: to every available resource of the account, the sender among them. */
  function broadcast(from: ClientSession, presence: Element, receivers: readonly ClientSession[]): void {
    for (const receiver of receivers) {
      // Who misses a presence would believe an old one for ever; who comes back asks again.
      if (!receiver.offer(stamped(presence, from, receiver.address))) receiver.fail('resource-constraint')
    }
  }

  async function becomeAvailable(stanza: Stanza, session: ClientSession): Promise<StanzaAnswer> {
    const priority = readPriority(stanza.element)
    if (priority === null) return stanzaError('bad-request', 'modify', 'The priority is a number from -128 to 127.')
    const isInitial = session.presence === null
    const presence = sanitise(stanza.element)
    // Its messages come later than what is sent now.
    const ready = session.becomeAvailable(presence, priority)
    if (isInitial) {
      // §4.3.2: what the others would answer to a probe.
      for (const other of available(session)) {
        if (other !== session && other.presence) session.send(stamped(other.presence, other, session.address))
      }
    }
    broadcast(session, presence, available(session))
    await ready
    return 'done'
  }

  function becomeUnavailable(stanza: Stanza, session: ClientSession): StanzaAnswer {
    const receivers = available(session) // §4.5.2: the sender too
    session.becomeUnavailable()
    broadcast(session, sanitise(stanza.element), receivers)
    return 'done'
  }

  function take(stanza: Stanza, session: ClientSession): StanzaAnswer | Promise<StanzaAnswer> {
    if (stanza.to !== null) return direct(stanza, session)
    if (stanza.type === '') return becomeAvailable(stanza, session)
    if (stanza.type === 'unavailable') return becomeUnavailable(stanza, session)
    return types.has(stanza.type) ? 'done' : stanzaError('bad-request', 'modify')
  }

  /** §4.6: to one's own other devices; nobody else may be told yet. */
  function direct({ to, type, element }: Stanza, session: ClientSession): StanzaAnswer {
    if (!types.has(type)) return stanzaError('bad-request', 'modify')
    if (to === null || to.domain !== session.jid.domain) {
      return type === 'error' ? 'done' : stanzaError('remote-server-not-found')
    }
    if (type.startsWith('subscribe')) return stanzaError('feature-not-implemented')
    if (to.local !== session.principal.name || (type !== '' && type !== 'unavailable')) return 'done'
    const named = (other: ClientSession) => to.resource === '' || other.jid.resource === to.resource
    broadcast(session, sanitise(element), available(session).filter(named))
    return 'done'
  }

  /** §4.5.2: a stream that broke says goodbye by its server. */
  function ended(session: ClientSession): void {
    const unavailable = el('presence', clientNs, { type: 'unavailable' })
    if (session.presence !== null) broadcast(session, unavailable, available(session))
  }

  return {
    name: 'presence',
    spec: 'RFC 6121 §4',
    version: '2011-03',
    setup(host) {
      host.onPresence('deliver', take)
      host.onSessionEnd(ended)
    },
  }
}

/** §4.7.1 */
const types = new Set(['', 'unavailable', 'subscribe', 'subscribed', 'unsubscribe', 'unsubscribed', 'probe', 'error'])

function stamped(presence: Element, from: ClientSession, to: string): Element {
  return { ...presence, attrs: { ...presence.attrs, from: from.address, to } }
}

/** §4.7.2.3; null: not a priority. */
function readPriority(presence: Element): number | null {
  const text = childText(presence, 'priority')?.trim() ?? '0'
  const priority = /^[+-]?\d{1,3}$/.test(text) ? Number(text) : Number.NaN
  return priority >= -128 && priority <= 127 ? priority : null
}
