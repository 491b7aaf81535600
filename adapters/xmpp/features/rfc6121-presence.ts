// RFC 6121 §4: Exchanging Presence Information  https://www.rfc-editor.org/rfc/rfc6121#section-4
import type { Device, Presence, Rosters } from '../../../broker/contacts.ts'
import type { Logger } from '../../../broker/log.ts'
import type { Party } from '../../../broker/types.ts'
import { clientNs, type Element, el } from '../element.ts'
import type { ClientSession, Feature, Resources, StanzaAnswer } from '../feature.ts'
import { bareOf, type Jid } from '../jid.ts'
import { readPriority, toDevice, toPresence, toRequest } from '../presence-stanza.ts'
import { type Stanza, stanzaError } from '../stanza.ts'

type Deps = Readonly<{
  resources: Resources
  presence: Presence
  rosters: Rosters
  logger: Logger
  /** The element without what only a server may say. */
  sanitise(element: Element): Element
}>

/** Broadcast to the account's own resources and to its contacts, whatever protocol brought it. */
export function createPresence(deps: Deps): Feature {
  const { resources, presence, sanitise } = deps
  const elements = new WeakMap<Device, Element>()
  const { offerDevice, sendAll } = createTeller(resources, elements)

  function toldDevice(element: Element, session: ClientSession, priority: number): Device {
    const device = toDevice(element, session.jid.resource, priority)
    elements.set(device, element)
    return device
  }

  async function becomeAvailable(stanza: Stanza, session: ClientSession): Promise<StanzaAnswer> {
    const priority = readPriority(stanza.element)
    if (priority === null) return stanzaError('bad-request', 'modify', 'The priority is a number from -128 to 127.')
    const isInitial = session.presence === null
    const element = sanitise(stanza.element)
    // Its messages come later than what is sent now.
    const ready = session.becomeAvailable(element, priority)
    await Promise.all([ready, introduce(session, toldDevice(element, session, priority), isInitial)])
    return 'done'
  }

  async function introduce(session: ClientSession, device: Device, isInitial: boolean): Promise<void> {
    if (isInitial) await tellWhatIsHere(deps, session, sendAll)
    // It may have gone meanwhile, and was said to have.
    if (resources.find(session.jid.local, session.jid.resource) === session) {
      await presence.set(partyOf(session), device)
    }
  }

  /** §4.5.2: the sender hears it, too. */
  async function becomeUnavailable(stanza: Stanza, session: ClientSession): Promise<StanzaAnswer> {
    const element = sanitise(stanza.element)
    await presence.set(partyOf(session), toldDevice(element, session, session.priority))
    session.becomeUnavailable()
    return 'done'
  }

  function take(stanza: Stanza, session: ClientSession): StanzaAnswer | Promise<StanzaAnswer> {
    if (stanza.to !== null) return undefined
    if (stanza.type === '') return becomeAvailable(stanza, session)
    if (stanza.type === 'unavailable') return becomeUnavailable(stanza, session)
    return types.has(stanza.type) ? 'done' : stanzaError('bad-request', 'modify')
  }

  /** §4.5.2: a stream that broke says goodbye by its server. */
  function ended(session: ClientSession): void {
    if (session.presence === null) return
    const element = el('presence', clientNs, { type: 'unavailable' })
    const told = presence.set(partyOf(session), toldDevice(element, session, session.priority))
    told?.catch((err: unknown) => deps.logger.warn({ err }, 'contacts were not told that a device has gone'))
  }

  return {
    name: 'presence',
    spec: 'RFC 6121 §4',
    version: '2011-03',
    setup(host) {
      host.onPresence('deliver', take)
      host.onPresence('deliver', (stanza, session) => probe(deps, stanza, session, sendAll))
      host.onSessionEnd(ended)
      presence.join({
        device: (from, device, audience) => {
          for (const receiver of audience) offerDevice(receiver.name, from, device)
        },
        status: () => undefined,
        // §3.1.6, §3.2.3: what is here now, or that nothing is to be seen any more.
        right(viewer, of, granted) {
          for (const device of presence.devices(of.id)) {
            offerDevice(viewer.name, of, granted ? device : { ...device, show: 'offline', status: '', priority: 0 })
          }
        },
      })
    },
  }
}

type SendAll = (session: ClientSession, from: Party, devices: readonly Device[]) => void

function createTeller(resources: Resources, elements: WeakMap<Device, Element>) {
  function stanzaOf(from: Party, device: Device, to: string): Element {
    const element = elements.get(device) ?? toPresence(device)
    return { ...element, attrs: { ...element.attrs, from: `${from.address}/${device.resource}`, to } }
  }
  return {
    offerDevice(receiver: string, from: Party, device: Device): void {
      for (const session of resources.of(receiver)) {
        if (session.presence === null) continue
        // Who misses a presence would believe an old one for ever; who comes back asks again.
        if (!session.offer(stanzaOf(from, device, session.address))) session.fail('resource-constraint')
      }
    },
    sendAll(session: ClientSession, from: Party, devices: readonly Device[]): void {
      for (const device of devices) session.send(stanzaOf(from, device, session.address))
    },
  }
}

/** §4.3: what probes to contacts and own devices would bring; §3.1.3: the requests that wait for an answer. */
async function tellWhatIsHere({ presence, rosters }: Deps, session: ClientSession, sendAll: SendAll): Promise<void> {
  const me = partyOf(session)
  const isOther = ({ resource }: Device) => resource !== session.jid.resource
  const contacts = await presence.contacts(me)
  const { items } = await rosters.read(me.id)
  sendAll(session, me, presence.devices(me.id).filter(isOther))
  for (const contact of contacts) sendAll(session, contact, presence.devices(contact.id))
  for (const { address, request } of items) {
    if (request !== null) session.send(toRequest('subscribe', { from: address, to: me.address }, request))
  }
}

/** §4.3.2: a client that asks by itself. */
async function probe(
  { presence }: Deps,
  { to, type }: Stanza,
  session: ClientSession,
  sendAll: SendAll,
): Promise<StanzaAnswer> {
  if (type !== 'probe') return undefined
  if (to === null || to.local === '') return 'done'
  if (to.domain !== session.jid.domain) return stanzaError('remote-server-not-found')
  const contact = await presence.visible(partyOf(session), to.local)
  const answer = (kind: string) => el('presence', clientNs, { type: kind, from: bareOf(to), to: session.address })
  // The same for whoever does not exist and whoever does not want to be seen.
  if (contact === null) session.send(answer('unsubscribed'))
  else {
    const named = presence.devices(contact.id).filter(isNamedBy(to))
    if (named.length === 0) session.send(answer('unavailable'))
    else sendAll(session, contact, named)
  }
  return 'done'
}

function isNamedBy({ resource }: Jid): (device: Device) => boolean {
  return (device) => resource === '' || device.resource === resource
}

/** §4.7.1 */
const types = new Set(['', 'unavailable', 'subscribe', 'subscribed', 'unsubscribe', 'unsubscribed', 'probe', 'error'])

function partyOf({ principal: { account, name }, jid }: ClientSession): Party {
  return { id: account, name, address: bareOf(jid) }
}
