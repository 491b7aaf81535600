// RFC 6120 §8: XML Stanzas  https://www.rfc-editor.org/rfc/rfc6120#section-8
import type { BrokerError } from '../../broker/errors.ts'
import { clientNs, type Element, el, elementsOf } from './element.ts'
import { type Jid, parseJid } from './jid.ts'

const stanzasNs = 'urn:ietf:params:xml:ns:xmpp-stanzas'

export type StanzaName = 'message' | 'presence' | 'iq'

/** A stanza of a client: whole, prepared, of a known kind. */
export type Stanza = Readonly<{
  name: StanzaName
  /** As it stands; '' when absent. */
  type: string
  id: string | null
  /** Null: absent, which means the sender's own account. */
  to: Jid | null
  /** As the client spelled it. */
  toText: string | null
  element: Element
}>

type ErrorType = BrokerError['xmpp'][1] | 'continue'

/** RFC 6120 §8.3: why a stanza was not processed. A value, never thrown. */
export type StanzaError = Readonly<{ error: string; type: ErrorType; text?: string }>

export function stanzaError(error: string, type: ErrorType = 'cancel', text?: string): StanzaError {
  return { error, type, ...(text !== undefined && { text }) }
}

export function isStanzaError(value: Element | StanzaError): value is StanzaError {
  return 'error' in value
}

export function toStanzaError(fault: BrokerError): StanzaError {
  const [condition, type] = fault.xmpp
  return stanzaError(condition, type, fault.message)
}

export function isStanzaName(name: string): name is StanzaName {
  return name === 'message' || name === 'presence' || name === 'iq'
}

/** §8.1: the attributes that all stanzas share. Null: its address is malformed. */
export function readStanza(element: Element, name: StanzaName): Stanza | null {
  const toText = element.attrs.to ?? null
  const to = toText === null ? null : parseJid(toText)
  if (toText !== null && to === null) return null
  return { name, type: element.attrs.type ?? '', id: element.attrs.id ?? null, to, toText, element }
}

/** §8.2.3: an iq has an id, a type of four, and a request has exactly one child. */
export function isWellFormedIq(iq: Stanza): boolean {
  if (iq.id === null) return false
  const children = elementsOf(iq.element).length
  if (iq.type === 'get' || iq.type === 'set') return children === 1
  return iq.type === 'error' || (iq.type === 'result' && children <= 1)
}

/** `to` is the client's full JID; `from` is who was asked, absent when nobody was named. */
export function resultOf(request: Element, to: string, child: Element | undefined): Element {
  const attrs = { type: 'result', id: request.attrs.id, from: request.attrs.to, to }
  return el('iq', clientNs, attrs, ...(child === undefined ? [] : [child]))
}

/** §8.3.1: the error goes back where the stanza came from, in its own kind. `to` is absent before a resource is bound. */
export function errorOf(request: Element, to: string | undefined, error: StanzaError): Element {
  const attrs = { type: 'error', id: request.attrs.id, from: request.attrs.to, to }
  const text = error.text === undefined ? [] : [el('text', stanzasNs, { 'xml:lang': 'en' }, error.text)]
  const condition = el(error.error, stanzasNs)
  return el(request.name, clientNs, attrs, el('error', clientNs, { type: error.type }, condition, ...text))
}
