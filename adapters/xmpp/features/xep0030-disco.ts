// XEP-0030: Service Discovery  https://xmpp.org/extensions/xep-0030.html
import { childOf, type Element, el } from '../element.ts'
import type { Feature, Host, IqHandler, Target } from '../feature.ts'
import { stanzaError } from '../stanza.ts'

const infoNs = 'http://jabber.org/protocol/disco#info'
const itemsNs = 'http://jabber.org/protocol/disco#items'

const identities: Readonly<Record<Target, Element>> = {
  server: el('identity', infoNs, { category: 'server', type: 'im', name: 'ClearBox' }),
  account: el('identity', infoNs, { category: 'account', type: 'registered' }),
}

/** Says what the features that are really here have advertised. There are no nodes and no items yet. */
export const disco: Feature = {
  name: 'disco',
  spec: 'XEP-0030',
  version: '2.5.0',
  setup(host) {
    for (const target of ['server', 'account'] as const) {
      host.advertise(infoNs, target)
      host.advertise(itemsNs, target)
    }
    host.onIq(
      'get',
      infoNs,
      'query',
      withoutNode(infoNs, (_iq, _session, target) => infoOf(host, target)),
    )
    host.onIq(
      'get',
      itemsNs,
      'query',
      withoutNode(itemsNs, () => el('query', itemsNs)),
    )
  },
}

function infoOf(host: Host, target: Target): Element {
  const features = [...new Set(host.advertised[target])].map((ns) => el('feature', infoNs, { var: ns }))
  return el('query', infoNs, {}, identities[target], ...features)
}

/** §7: a node that nobody has is not found. */
function withoutNode(ns: string, handler: IqHandler): IqHandler {
  return (iq, session, target) =>
    childOf(iq.element, 'query', ns)?.attrs.node === undefined
      ? handler(iq, session, target)
      : stanzaError('item-not-found')
}
