// RFC 6121 §3: Managing Presence Subscriptions  https://www.rfc-editor.org/rfc/rfc6121#section-3
import type { ContactEvent, Rosters, Verb } from '../../../broker/contacts.ts'
import type { Counters } from '../../../broker/metrics.ts'
import { type Element, el, toXml } from '../element.ts'
import type { ClientSession, Feature, Interest, Resources, StanzaAnswer, StreamFeature } from '../feature.ts'
import { bareOf } from '../jid.ts'
import { toRequest } from '../presence-stanza.ts'
import { type Stanza, stanzaError, toStanzaError } from '../stanza.ts'

/** What is kept of a request that waits for its answer (§3.1.3); a larger one waits without its text. */
const maxRequestBytes = 2048

type Deps = Readonly<{
  rosters: Rosters
  resources: Resources
  interest: Interest
  counters: Pick<Counters, 'liveDropped'>
  /** The element without what only a server may say. */
  sanitise(element: Element): Element
}>

/** Asks, grants, refuses and ends; the states are the roster's. */
export function createSubscription({ rosters, resources, interest, counters, sanitise }: Deps): Feature {
  async function say(verb: Verb, { to, element }: Stanza, session: ClientSession): Promise<StanzaAnswer> {
    if (to === null || to.local === '') return 'done'
    if (to.domain !== session.jid.domain) return stanzaError('remote-server-not-found')
    const { principal, jid } = session
    const from = { id: principal.account, name: principal.name, address: bareOf(jid) }
    const address = bareOf(to) // §3.1.2, §3.2.2: sent to the bare address, whatever the client wrote
    if (address === from.address) return 'done'
    const refused = await rosters.say(from, verb, address, verb === 'subscribe' ? textOf(sanitise(element)) : '')
    return refused === null ? 'done' : toStanzaError(refused)
  }

  /** §3.1.3: a request to all available resources; §3.1.6, §3.2.3, §3.3.3: the rest to the interested ones. */
  function deliver({ verb, from, to, request }: ContactEvent & { what: 'said' }): void {
    const stanza = toRequest(verb, { from: from.address, to: to.address }, request)
    for (const session of resources.of(to.name)) {
      const isForIt = verb === 'subscribe' ? session.presence !== null : interest.has(session)
      if (!isForIt) continue
      if (verb !== 'subscribe') session.tell(`${verb} ${from.address}`, stanza)
      // Anyone may ask; the request comes again at the next login.
      else if (!session.offer(stanza)) counters.liveDropped++
    }
  }

  return {
    name: 'subscription',
    spec: 'RFC 6121 §3',
    version: '2011-03',
    setup(host) {
      host.onPresence('deliver', (stanza, session) => {
        const verb = verbs.find((known) => known === stanza.type)
        return verb && say(verb, stanza, session)
      })
      rosters.onEvent((event) => {
        if (event.what === 'said') deliver(event)
      })
    },
  }
}

/** §3.4.1 */
export const preApproval: StreamFeature = {
  name: 'pre-approval',
  spec: 'RFC 6121 §3.4',
  version: '2011-03',
  offer: ({ principal }) => (principal === null ? undefined : el('sub', 'urn:xmpp:features:pre-approval')),
  onElement: () => false,
}

const verbs: readonly Verb[] = ['subscribe', 'subscribed', 'unsubscribe', 'unsubscribed']

function textOf(presence: Element): string {
  const xml = presence.children.map((child) => toXml(child)).join('')
  return Buffer.byteLength(xml) <= maxRequestBytes ? xml : ''
}
