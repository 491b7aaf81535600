// What a client may not say in another's name (DESIGN §4): removed at admission, before anything is stored.
import { clientNs, type Element, isElement } from './element.ts'
import { parseJid } from './jid.ts'

const stanzaIdNs = 'urn:xmpp:sid:0'

/** Namespace → the names that only a server speaks; 'all' of them where no client has any business. */
const serverOnly: Readonly<Record<string, 'all' | readonly string[]>> = {
  'http://jabber.org/protocol/muc#user': 'all',
  'jabber:x:delay': 'all',
  'urn:xmpp:carbons:2': ['sent', 'received'],
  'urn:xmpp:delay': 'all',
  'urn:xmpp:forward:0': 'all',
  'urn:xmpp:mam:1': 'all',
  'urn:xmpp:mam:2': 'all',
  'urn:xmpp:occupant-id:0': 'all',
}

/** `domain`: the served one, prepared. */
export function mayClientSay(child: Element, domain: string): boolean {
  // A stanza inside a stanza: nothing has one, and the stored form gives it a meaning.
  if (child.ns === clientNs && child.name === 'message') return false
  // XEP-0359 §4, rule 2: `by` names us, so it must be ours.
  if (child.ns === stanzaIdNs && child.name === 'stanza-id') return parseJid(child.attrs.by ?? '')?.domain !== domain
  const names = Object.hasOwn(serverOnly, child.ns) ? serverOnly[child.ns] : []
  return names !== 'all' && !names?.includes(child.name)
}

/** The element without what only a server may say; white space between children is not kept. */
export function sanitise(element: Element, domain: string): Element {
  return { ...element, children: element.children.filter((child) => isElement(child) && mayClientSay(child, domain)) }
}
