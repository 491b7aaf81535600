// RFC 6121 §4.6: Directed Presence  https://www.rfc-editor.org/rfc/rfc6121#section-4.6
import type { Rosters } from '../../../broker/contacts.ts'
import type { Logger } from '../../../broker/log.ts'
import type { Counters } from '../../../broker/metrics.ts'
import { clientNs, type Element, el } from '../element.ts'
import type { ClientSession, Feature, Resources, StanzaAnswer } from '../feature.ts'
import { bareOf, type Jid, toText } from '../jid.ts'
import { type Stanza, stanzaError } from '../stanza.ts'

/** Whom one resource may have told at a time. */
const maxTargets = 500

type Deps = Readonly<{
  resources: Resources
  rosters: Rosters
  counters: Pick<Counters, 'liveDropped'>
  logger: Logger
  /** The element without what only a server may say. */
  sanitise(element: Element): Element
}>

/** To whoever is named, subscribed or not; who was told that a resource is here is told when it goes. */
export function createDirectedPresence({ resources, rosters, counters, logger, sanitise }: Deps): Feature {
  const told = new WeakMap<ClientSession, Map<string, Jid>>()

  function direct({ to, type, element }: Stanza, session: ClientSession): StanzaAnswer {
    if (to === null) return undefined
    if (type === 'error') return 'done'
    if (type !== '' && type !== 'unavailable') return stanzaError('bad-request', 'modify')
    if (to.domain !== session.jid.domain) return stanzaError('remote-server-not-found')
    const targets = told.get(session) ?? new Map<string, Jid>()
    if (type === '' && targets.size >= maxTargets) return stanzaError('resource-constraint', 'wait')
    if (type === '') told.set(session, targets.set(toText(to), to))
    else targets.delete(toText(to))
    const isTaken = deliver(sanitise(element), session, to)
    return isTaken ? 'done' : stanzaError('resource-constraint', 'wait')
  }

  /** False: one of those who are meant has no room; a stranger may not fill more than a part of it. */
  function deliver(element: Element, from: ClientSession, to: Jid): boolean {
    let isTaken = true
    for (const receiver of resources.of(to.local)) {
      const isMeant = to.resource === '' ? receiver.presence !== null : receiver.jid.resource === to.resource
      const stamped = { ...element, attrs: { ...element.attrs, from: from.address, to: receiver.address } }
      if (!isMeant || receiver.offer(stamped)) continue
      isTaken = false
      counters.liveDropped++
    }
    return isTaken
  }

  /** §4.6.3, case 2: those whom the broadcast does not reach. */
  async function leave(session: ClientSession, element: Element): Promise<void> {
    const targets = told.get(session)
    if (targets === undefined) return
    told.delete(session)
    const { account, name } = session.principal
    const audience = await rosters.audience({ id: account, name, address: bareOf(session.jid) })
    const reached = new Set(session.presence === null ? [] : audience.map((one) => one.name))
    for (const target of targets.values()) if (!reached.has(target.local)) deliver(element, session, target)
  }

  async function leaving({ to, type, element }: Stanza, session: ClientSession): Promise<StanzaAnswer> {
    if (to === null && type === 'unavailable') await leave(session, sanitise(element))
    return undefined
  }

  function ended(session: ClientSession): void {
    leave(session, el('presence', clientNs, { type: 'unavailable' })).catch((err: unknown) =>
      logger.warn({ err }, 'some were not told that a device has gone'),
    )
  }

  return {
    name: 'directed-presence',
    spec: 'RFC 6121 §4.6',
    version: '2011-03',
    setup(host) {
      host.onPresence('check', (stanza, session) =>
        told.has(session) && stanza.type === 'unavailable' ? leaving(stanza, session) : undefined,
      )
      host.onPresence('deliver', direct)
      host.onSessionEnd(ended)
    },
  }
}
