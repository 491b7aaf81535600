// RFC 6121 §4: Exchanging Presence Information  https://www.rfc-editor.org/rfc/rfc6121#section-4
import type { Device, Presence, Rosters } from '../../../broker/contacts.ts'
import type { Logger } from '../../../broker/log.ts'
import type { Party } from '../../../broker/types.ts'
import { clientNs, type Element, el, toXml } from '../element.ts'
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
  const { tellAccount, tellAll } = createTeller({ resources, presence, elements })

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
    session.becomeAvailable(element, priority)
    await introduce(session, toldDevice(element, session, priority), isInitial)
    // Behind its own presence and those of its contacts.
    await session.readLog()
    return 'done'
  }

  async function introduce(session: ClientSession, device: Device, isInitial: boolean): Promise<void> {
    if (isInitial) await tellWhatIsHere(deps, session, tellAll)
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
      host.onPresence('check', demandSmall)
      host.onPresence('deliver', take)
      host.onPresence('deliver', (stanza, session) => probe(deps, stanza, session, tellAll))
      host.onSessionEnd(ended)
      presence.join({
        device: (from, device, audience) => {
          for (const receiver of audience) tellAccount(receiver.name, from, device)
        },
        status: () => undefined,
        // §3.1.6, §3.2.3: what is here now, or that nothing is to be seen any more.
        right(viewer, of, granted) {
          for (const device of presence.devices(of.id)) {
            tellAccount(viewer.name, of, granted ? device : { ...device, show: 'offline', status: '', priority: 0 })
          }
        },
      })
    },
  }
}

/** §4.7.2: what a presence says is short; it is sent to many, and again and again. */
const maxBytes = 8 * 1024

function demandSmall({ element }: Stanza): StanzaAnswer {
  if (Buffer.byteLength(toXml(element)) <= maxBytes) return undefined
  return stanzaError('policy-violation', 'modify', 'A presence has 8 KiB at most.')
}

type TellAll = (session: ClientSession, from: Party, devices: readonly Device[]) => void

type TellerDeps = Pick<Deps, 'resources' | 'presence'> & Readonly<{ elements: WeakMap<Device, Element> }>

function createTeller({ resources, presence, elements }: TellerDeps) {
  function stanzaOf(from: Party, device: Device, to: string): Element {
    const element = elements.get(device) ?? toPresence(device)
    return { ...element, attrs: { ...element.attrs, from: `${from.address}/${device.resource}`, to } }
  }

  /** Who misses a presence would believe an old one for ever. */
  function tell(session: ClientSession, from: Party, device: Device): void {
    const { resource } = device
    const address = `${from.address}/${resource}`
    const isGone = device.show === 'offline'
    session.tell(`presence ${address}`, stanzaOf(from, device, session.address), () => {
      const now = isGone ? undefined : presence.devices(from.id).find((other) => other.resource === resource)
      const gone = { type: 'unavailable', from: address, to: session.address }
      return now === undefined ? el('presence', clientNs, gone) : stanzaOf(from, now, session.address)
    })
  }

  return {
    tellAccount(receiver: string, from: Party, device: Device): void {
      for (const session of resources.of(receiver)) if (session.presence !== null) tell(session, from, device)
    },
    tellAll(session: ClientSession, from: Party, devices: readonly Device[]): void {
      for (const device of devices) tell(session, from, device)
    },
  }
}

/** §4.3: what probes to contacts and own devices would bring; §3.1.3: the requests that wait for an answer. */
async function tellWhatIsHere({ presence, rosters }: Deps, session: ClientSession, tellAll: TellAll): Promise<void> {
  const me = partyOf(session)
  const isOther = ({ resource }: Device) => resource !== session.jid.resource
  const contacts = await presence.contacts(me)
  const { items } = await rosters.read(me.id)
  tellAll(session, me, presence.devices(me.id).filter(isOther))
  for (const contact of contacts) tellAll(session, contact, presence.devices(contact.id))
  for (const { address, request } of items) {
    if (request === null) continue
    session.tell(`subscribe ${address}`, toRequest('subscribe', { from: address, to: me.address }, request))
  }
}

/** §4.3.2: a client that asks by itself. */
async function probe(
  { presence }: Deps,
  { to, type }: Stanza,
  session: ClientSession,
  tellAll: TellAll,
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
    else tellAll(session, contact, named)
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
