// RFC 6121 §2: Managing the Roster  https://www.rfc-editor.org/rfc/rfc6121#section-2
import type { ContactEvent, Rosters } from '../../../broker/contacts.ts'
import { BrokerError } from '../../../broker/errors.ts'
import type { Logger } from '../../../broker/log.ts'
import type { RosterItem } from '../../../broker/stores.ts'
import { childOf, clientNs, type Element, el, elementsOf, textOf } from '../element.ts'
import type { ClientSession, Feature, Interest, IqAnswer, Resources, StreamFeature, Target } from '../feature.ts'
import { bareOf, type Jid, parseJid } from '../jid.ts'
import { type Stanza, type StanzaError, stanzaError, toStanzaError } from '../stanza.ts'

const ns = 'jabber:iq:roster'
/** Of a name, and of a group's. */
const maxNameBytes = 255
const maxGroups = 50

type Deps = Readonly<{ rosters: Rosters; resources: Resources; interest: Interest; logger: Logger }>

/** Shows and changes the roster, and pushes every change to the resources that have asked for it, whoever made it. */
export function createRoster({ rosters, resources, interest, logger }: Deps): Feature {
  let pushes = 0

  async function get(iq: Stanza, session: ClientSession, target: Target): Promise<IqAnswer> {
    if (target !== 'account') return stanzaError('service-unavailable')
    const ver = childOf(iq.element, 'query', ns)?.attrs.ver
    // Before it is read: what changes meanwhile is pushed.
    interest.set(session, { versioned: ver !== undefined })
    const { version, items } = await rosters.read(session.principal.account)
    if (ver === String(version)) return undefined // §2.6.3: nothing has changed
    const listed = items.filter((item) => item.listed)
    return el('query', ns, ver === undefined ? {} : { ver: String(version) }, ...listed.map(toElement))
  }

  async function set(iq: Stanza, session: ClientSession, target: Target): Promise<IqAnswer> {
    if (target !== 'account') return stanzaError('service-unavailable')
    const asked = readSet(iq.element, session.jid)
    if (isRefusal(asked)) return asked
    const { principal, jid } = session
    const owner = { id: principal.account, name: principal.name, address: bareOf(jid) }
    const { address, how } = asked
    const refused = how === 'remove' ? await rosters.remove(owner, address) : await rosters.put(owner, address, how)
    return refused instanceof BrokerError ? toStanzaError(refused) : undefined
  }

  /** §2.1.6 */
  function push({ owner, address, item, version }: ContactEvent & { what: 'item' }): void {
    const child = item === null ? el('item', ns, { jid: address, subscription: 'remove' }) : toElement(item)
    for (const session of resources.of(owner.name)) {
      const how = interest.get(session)
      if (how === undefined) continue
      const query = el('query', ns, how.versioned ? { ver: String(version) } : {}, child)
      const iq = el('iq', clientNs, { type: 'set', id: `push-${++pushes}`, to: session.address }, query)
      session.tell(`item ${address}`, iq)
    }
  }

  /** An address whose account was deleted by whoever may. */
  async function pushStale({ owner, address }: ContactEvent & { what: 'stale' }): Promise<void> {
    if (!resources.of(owner.name).some((session) => interest.has(session))) return
    const { version, items } = await rosters.read(owner.id)
    const item = items.find((one) => one.address === address && one.listed) ?? null
    push({ what: 'item', owner, address, item, version })
  }

  return {
    name: 'roster',
    spec: 'RFC 6121 §2',
    version: '2011-03',
    setup(host) {
      host.onIq('get', ns, 'query', get)
      host.onIq('set', ns, 'query', set)
      rosters.onEvent((event) => {
        if (event.what === 'item') push(event)
        if (event.what !== 'stale') return
        pushStale(event).catch((err: unknown) => logger.warn({ err }, 'a roster was not pushed'))
      })
    },
  }
}

/** XEP-0237, now RFC 6121 §2.6.1: a client that has the newest version is sent nothing. */
export const rosterVersioning: StreamFeature = {
  name: 'roster-versioning',
  spec: 'RFC 6121 §2.6',
  version: '2011-03',
  offer: ({ principal }) => (principal === null ? undefined : el('ver', 'urn:xmpp:features:rosterver')),
  onElement: () => false,
}

type Asked = Readonly<{ address: string; how: 'remove' | Readonly<Pick<RosterItem, 'name' | 'groups'>> }>

function isRefusal(read: object): read is StanzaError {
  return 'error' in read
}

/** §2.3.3, §2.5.3 */
function readSet(iq: Element, own: Jid): Asked | StanzaError {
  const query = childOf(iq, 'query', ns)
  const items = query === undefined ? [] : elementsOf(query)
  const [item] = items
  if (items.length !== 1 || item?.name !== 'item' || item.ns !== ns) return badRequest('One item, no more.')
  const jid = item.attrs.jid === undefined ? null : parseJid(item.attrs.jid)
  if (jid === null) return stanzaError('jid-malformed', 'modify')
  const address = bareOf(jid)
  if (address === bareOf(own)) return stanzaError('not-allowed', 'cancel', 'An account is no contact of itself.')
  if (item.attrs.subscription === 'remove') return { address, how: 'remove' }
  const name = item.attrs.name ?? ''
  const groups = readGroups(item)
  if (Buffer.byteLength(name) > maxNameBytes) return stanzaError('not-acceptable', 'modify')
  return isRefusal(groups) ? groups : { address, how: { name, groups } }
}

function readGroups(item: Element): readonly string[] | StanzaError {
  const groups = elementsOf(item)
    .filter((child) => child.name === 'group' && child.ns === ns)
    .map(textOf)
  if (new Set(groups).size < groups.length) return badRequest('A group stands there twice.')
  const isFit = (group: string) => group !== '' && Buffer.byteLength(group) <= maxNameBytes
  return groups.length <= maxGroups && groups.every(isFit) ? groups : stanzaError('not-acceptable', 'modify')
}

const badRequest = (text: string) => stanzaError('bad-request', 'modify', text)

function toElement({ address, name, groups, subscription, ask, approved }: RosterItem): Element {
  const attrs = {
    jid: address,
    name: name === '' ? undefined : name,
    subscription,
    ask: ask ? 'subscribe' : undefined,
    approved: approved ? 'true' : undefined,
  }
  return el('item', ns, attrs, ...groups.map((group) => el('group', ns, {}, group)))
}
