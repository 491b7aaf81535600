// Between a <message/> and a Message, both ways. Pure.
import { typingStates } from '../../broker/message.ts'
import type { Admitted, Body, Content, Kind, LogEntry, Media, Message, Party } from '../../broker/types.ts'
import { contentOf } from './content.ts'
import { childOf, clientNs, type Element, el, elementsOf, escapeAttribute, toXml } from './element.ts'
import { sanitise } from './sanitise.ts'
import type { Stanza } from './stanza.ts'
import { parseXml } from './xml.ts'

const hintsNs = 'urn:xmpp:hints'
const stanzaIdNs = 'urn:xmpp:sid:0'
const delayNs = 'urn:xmpp:delay'
const maxKeyLength = 1024

export type Sender = Readonly<{
  party: Party
  resource: string
  /** xml:lang of the stream, which its stanzas inherit (RFC 6120 §8.1.5). */
  lang: string | null
}>

/** A message stanza as the broker takes it. Null: nothing is left of it once it is sanitised. */
export function toMessage(stanza: Stanza, sender: Sender, domain: string): Message | null {
  const element = sanitise(stanza.element, domain)
  if (element.children.length === 0) return null
  const lang = element.attrs['xml:lang'] ?? sender.lang
  const originId = childOf(element, 'origin-id', stanzaIdNs)?.attrs.id
  const kind = kindOf(element)
  const xref = namedBy(kind, element)
  return {
    kind,
    from: sender.party,
    device: sender.resource,
    to: stanza.to?.local ?? sender.party.name,
    toResource: stanza.to?.resource || null,
    oid: originId !== undefined && originId !== '' && originId.length <= maxKeyLength ? originId : null,
    xid: stanza.id,
    ...(xref !== null && { xref }),
    content: kind === 'typing' ? typingOf(element) : contentOf(element, lang),
    body: toBody(element, stanza.type, lang),
    stored: isStored(element, stanza.type),
  }
}

/** What is stored of what this border accepted, as the log needs it. @throws XmlFault for what this server did not write */
export function contentOfXml(childrenXml: string): Content {
  const outer = parseXml(`<message xmlns='${clientNs}'>${childrenXml}</message>`)
  const element = childOf(outer, 'message') ?? outer
  return contentOf(element, element.attrs['xml:lang'] ?? null)
}

const typingNs = 'http://jabber.org/protocol/chatstates'
const receiptNs = 'urn:xmpp:receipts'
const markerNs = 'urn:xmpp:chat-markers:0'
const withoutBody: Readonly<Record<string, Kind>> = {
  [typingNs]: 'typing',
  [receiptNs]: 'receipt',
  [markerNs]: 'marker',
}

/** XEP-0184, XEP-0333: the XMPP id of the message that was received or displayed; null: nothing of that is said. */
function namedBy(kind: Kind, element: Element): string | null {
  if (kind === 'receipt') return childOf(element, 'received', receiptNs)?.attrs.id || null
  if (kind !== 'marker') return null
  const marker = childOf(element, 'displayed', markerNs) ?? childOf(element, 'acknowledged', markerNs)
  return marker?.attrs.id || null
}

/** XEP-0085 */
function typingOf(element: Element): Content {
  const names = elementsOf(element).flatMap(({ ns, name }) => (ns === typingNs ? [name] : []))
  const state = typingStates.find((known) => names.includes(known)) ?? 'composing'
  return state === 'composing' ? {} : { data: { state } }
}

function kindOf(element: Element): Kind {
  if (childOf(element, 'body') !== undefined) return 'message'
  for (const { ns, name } of elementsOf(element)) {
    const kind = Object.hasOwn(withoutBody, ns) ? withoutBody[ns] : undefined
    // Both name what a message asks for with the same namespace as the answer.
    if (kind !== undefined && name !== 'request' && name !== 'markable') return kind
  }
  return 'message'
}

/** DESIGN §2, and XEP-0334: what a sender does not want kept is live only. */
function isStored(element: Element, type: string): boolean {
  if (type === 'headline' || type === 'error') return false
  const hints = elementsOf(element).filter(({ ns }) => ns === hintsNs)
  if (hints.some(({ name }) => name === 'no-store' || name === 'no-permanent-store')) return false
  return (childOf(element, 'body')?.children ?? []).length > 0 || hints.some(({ name }) => name === 'store')
}

/** The children as they are; inside a <message/> of their own when its type or language must be kept too. */
function toBody(element: Element, type: string, lang: string | null): Body {
  const children = element.children.map((child) => toXml(child)).join('')
  if (type === 'chat' && lang === null) return { format: 'xml', text: children }
  const kept = type === 'chat' || type === 'headline' ? type : 'normal' // RFC 6121 §5.2.2
  return {
    format: 'xml',
    text: `<message${attribute('type', kept)}${attribute('xml:lang', lang)}>${children}</message>`,
  }
}

/** How this server names things: its domain, and the resource by which others know an MQTT device. */
export type Naming = Readonly<{ domain: string; publicResource(device: string): string }>

/**
 * The stanza for the devices of the entry's owner: the same for all of them, so it is made once.
 * XEP-0359: the stanza-id of what is in the owner's log. XEP-0203: when it was sent, if that was before now.
 */
export function toStanza(entry: LogEntry, naming: Naming): string {
  const { message } = entry
  const isReceived = entry.owner === message.to.id
  const key = `xmpp:${isReceived ? '' : 'sent:'}${entry.late ? 'late' : 'live'}`
  const known = message.wires.get(key)
  if (typeof known === 'string') return known
  const marks: Element[] = []
  const by = isReceived ? message.to.address : message.from.address
  if (entry.seq > 0) marks.push(el('stanza-id', stanzaIdNs, { by, id: message.id }))
  if (entry.late) marks.push(el('delay', delayNs, { from: naming.domain, stamp: stampOf(message) }))
  const { attributes, children } = payloadOf(message)
  const addresses = attribute('from', fromOf(message, naming)) + attribute('to', toOf(message))
  const id = attribute('id', message.xid ?? message.id)
  const stanza = `<message${addresses}${id}${attributes}>${children}${marks.map((mark) => toXml(mark)).join('')}</message>`
  message.wires.set(key, stanza)
  return stanza
}

/** XEP-0297: the entry as another stanza carries it. `stamp`: with the time of its admission. */
export function toForwarded(entry: LogEntry, naming: Naming, stamp: boolean): string {
  const delay = stamp ? toXml(el('delay', delayNs, { stamp: stampOf(entry.message) })) : ''
  const inner = toStanza({ ...entry, late: false }, naming).slice('<message'.length)
  return `<forwarded xmlns='urn:xmpp:forward:0'>${delay}<message xmlns='${clientNs}'${inner}</forwarded>`
}

/** XEP-0280 §6 and §7: what another device of the owner has sent or received, for the device at `to`. */
export function toCopy(entry: LogEntry, form: 'sent' | 'received', to: string, naming: Naming): string {
  const { message, owner, late } = entry
  const own = owner === message.to.id ? message.to.address : message.from.address
  const { attributes } = payloadOf(message)
  const type = / type='[^']*'/.exec(attributes)?.[0] ?? ''
  const addresses = attribute('from', own) + attribute('to', to)
  const copy = `<${form} xmlns='urn:xmpp:carbons:2'>${toForwarded(entry, naming, late)}</${form}>`
  return `<message${addresses}${type}>${copy}</message>`
}

/** XEP-0082 */
function stampOf({ ts }: Admitted): string {
  return new Date(ts).toISOString()
}

function fromOf({ from, device, body }: Admitted, naming: Naming): string {
  if (device === null) return from.address
  return `${from.address}/${body.format === 'xml' ? device : naming.publicResource(device)}`
}

/** RFC 6121 §8.5: the receiver sees the address that the sender wrote. */
function toOf({ to, toResource }: Admitted): string {
  return toResource === null ? to.address : `${to.address}/${toResource}`
}

type Payload = Readonly<{ attributes: string; children: string }>

const wrapped = /^<message((?: (?:type|xml:lang)='[^']*')+)>/

function payloadOf(message: Admitted): Payload {
  const { body } = message
  const chat = attribute('type', 'chat')
  if (body.format === 'json')
    return {
      attributes: chat,
      children: childrenOf(message)
        .map((child) => toXml(child))
        .join(''),
    }
  const kept = wrapped.exec(body.text)
  if (kept === null) return { attributes: chat, children: body.text }
  return { attributes: kept[1] ?? '', children: body.text.slice(kept[0].length, -'</message>'.length) }
}

/** What came as JSON or plain text, in XMPP's words. */
function childrenOf({ kind, content, refXid }: Admitted): readonly Element[] {
  const id = refXid ?? content.ref
  if (kind === 'receipt') return [el('received', receiptNs, { id })]
  if (kind === 'marker') return [el('displayed', markerNs, { id })]
  if (kind === 'typing') return [el(stateOf(content), typingNs)]
  return wordsOf(content)
}

function stateOf({ data }: Content): string {
  return typingStates.find((state) => isRecord(data) && data.state === state) ?? 'composing'
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null
}

/** XEP-0066 for media, XEP-0335 for data. */
function wordsOf(content: Content): readonly Element[] {
  const { subject, thread, lang, media = [], data } = content
  const worded = (name: string, text: string) => el(name, clientNs, { 'xml:lang': lang }, text)
  const body = content.text ?? media[0]?.url
  return [
    ...(subject === undefined ? [] : [worded('subject', subject)]),
    ...(body === undefined ? [] : [worded('body', body)]),
    ...(thread === undefined ? [] : [el('thread', clientNs, {}, thread)]),
    ...media.map(toOob),
    ...(data === undefined ? [] : [el('json', 'urn:xmpp:json:0', {}, JSON.stringify(data))]),
  ]
}

function toOob({ url, name }: Media): Element {
  const ns = 'jabber:x:oob'
  return el('x', ns, {}, el('url', ns, {}, url), ...(name === undefined ? [] : [el('desc', ns, {}, name)]))
}

function attribute(name: string, value: string | null): string {
  return value === null ? '' : ` ${name}='${escapeAttribute(value)}'`
}
