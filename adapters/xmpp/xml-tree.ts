// RFC 6120 §11: what saxes must be told so that it lets nothing pass  https://www.rfc-editor.org/rfc/rfc6120#section-11
import { SaxesParser, type SaxesTagNS } from 'saxes'
import type { Element, Node } from './element.ts'

/** `#x10FFFF` and nothing longer. */
const maxEntityLength = 10

export type XmlCondition = 'not-well-formed' | 'restricted-xml' | 'unsupported-encoding' | 'policy-violation'

/** Why the bytes were refused, as a stream error's condition (RFC 6120 §4.9.3). */
export class XmlFault extends Error {
  readonly condition: XmlCondition

  constructor(condition: XmlCondition, detail: string) {
    super(detail)
    this.name = 'XmlFault'
    this.condition = condition
  }
}

/** What a stream is made of. The handlers run inside `read` and must not throw. */
export type XmlEvents = Readonly<{
  /** `contentNs`: the default namespace that the root declares, '' for none. */
  onOpen(root: Element, contentNs: string): void
  onElement(element: Element): void
  onText(): void
  onClose(): void
}>

export type XmlLimits = Readonly<{ depth: number; attributes: number }>

type Open = { name: string; ns: string; attrs: Record<string, string>; children: Node[] }
export type XmlTree = { write(text: string): void; readonly atRest: boolean; readonly completed: number }

/** A parser of one document; its handlers must not throw. `write` may throw whatever, and after that it is dead. */
export function createXmlTree(events: XmlEvents, limits: XmlLimits): XmlTree {
  const parser = new SaxesParser({ xmlns: true, position: false, defaultXMLVersion: '1.0', forceXMLVersion: true })
  const open: Open[] = []
  let attributes = 0
  let opening = false
  let completed = 0
  let endsElement = false
  // saxes tells the end of an element before it finds that the tag's name was another one.
  let unsure: (() => void) | null = null

  const settle = () => {
    const tell = unsure
    unsure = null
    tell?.()
  }
  const refuse = (condition: XmlCondition, detail: string) => {
    settle()
    throw new XmlFault(condition, detail)
  }
  parser.on('error', (error) => {
    if (error.message !== 'unexpected close tag.') settle()
    throw error
  })
  parser.on('xmldecl', ({ encoding }) => {
    // RFC 6120 §11.6
    if (encoding !== undefined && !/^utf-?8$/i.test(encoding)) refuse('unsupported-encoding', 'Only UTF-8 is spoken.')
  })
  // RFC 6120 §11.1
  for (const event of ['doctype', 'comment', 'processinginstruction'] as const) {
    parser.on(event, () => refuse('restricted-xml', `XMPP has no ${event}.`))
  }
  parser.on('opentagstart', () => {
    settle()
    attributes = 0
    opening = true
    if (open.length >= limits.depth) refuse('policy-violation', 'Elements are nested too deep.')
  })
  parser.on('attribute', () => {
    if (++attributes > limits.attributes) refuse('policy-violation', 'An element has too many attributes.')
  })
  parser.on('opentag', (tag) => {
    opening = false
    const element: Open = { name: tag.local, ns: tag.uri, attrs: toAttributes(tag), children: [] }
    if (open.length === 0) events.onOpen(element, tag.attributes.xmlns?.value ?? '')
    else if (open.length > 1) open.at(-1)?.children.push(element)
    open.push(element)
  })
  parser.on('closetag', () => {
    settle()
    const element = open.pop()
    if (open.length === 0) unsure = events.onClose
    if (open.length !== 1 || element === undefined) return
    completed++
    unsure = () => events.onElement(element)
  })
  const onText = (text: string) => {
    settle()
    const parent = open.at(-1)
    if (open.length > 1) parent?.children.push(text)
    else if (!isBlank(text)) events.onText()
  }
  parser.on('text', onText)
  parser.on('cdata', onText)

  return {
    get atRest() {
      return endsElement && open.length === 1 && !opening
    },
    get completed() {
      return completed
    },
    write(text) {
      parser.write(text)
      settle()
      endsElement = /[>][ \t\r\n]*$/.test(text)
      // A bare `&` would wait for its `;` until the size limit.
      // biome-ignore lint/complexity/useLiteralKeys: private to saxes, and there is no other way to ask
      if (parser['entity'].length > maxEntityLength) throw new XmlFault('not-well-formed', 'An entity has no end.')
    },
  }
}

/** Prefixes of attributes are declared where they are used, so that the element can move. */
function toAttributes(tag: SaxesTagNS): Record<string, string> {
  const attrs: Record<string, string> = Object.create(null)
  for (const { name, prefix, uri, value } of Object.values(tag.attributes)) {
    if (name === 'xmlns') continue
    attrs[name] = value
    if (prefix !== '' && prefix !== 'xml' && prefix !== 'xmlns') attrs[`xmlns:${prefix}`] = uri
  }
  return attrs
}

/** Whatever `write` threw, as a fault. */
export function toFault(error: unknown): XmlFault {
  if (error instanceof XmlFault) return error
  const detail = error instanceof Error ? error.message : 'unknown'
  // RFC 6120 §11.1: what no document of XMPP has, wherever it stands.
  const isRestricted = detail === 'undefined entity.' || detail.includes('doctype')
  return new XmlFault(isRestricted ? 'restricted-xml' : 'not-well-formed', detail)
}

export function isBlank(text: string): boolean {
  return /^[ \t\r\n]*$/.test(text)
}
