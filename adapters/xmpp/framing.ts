// How a stream lies in its transport: one document over TCP and TLS (RFC 6120 §4), a document per element over WebSocket
// RFC 7395: An XMPP Subprotocol for WebSocket  https://www.rfc-editor.org/rfc/rfc7395#section-3
import { clientNs, type Element, el, toXml } from './element.ts'
import { headerOf, type OwnHeader, streamNs } from './header.ts'
import { createXmlReader, parseFrame, type XmlReader } from './xml.ts'
import { type XmlEvents, XmlFault } from './xml-tree.ts'

export type Framing = Readonly<{
  /** What opens the stream of this server. */
  open(header: OwnHeader): string
  close: string
  /** A child of the stream as it goes out. */
  child(xml: string): string
  /** Each piece is a message of its own, never joined with others. */
  isPerElement: boolean
  /** Whether what began in the clear can go on under TLS. */
  hasStartTls: boolean
  createReader(events: XmlEvents, maxElementBytes: number): XmlReader
}>

export const streamFraming: Framing = {
  open: headerOf,
  close: '</stream:stream>',
  child: (xml) => xml,
  isPerElement: false,
  hasStartTls: true,
  createReader: createXmlReader,
}

const framingNs = 'urn:ietf:params:xml:ns:xmpp-framing'

export const webSocketFraming: Framing = {
  open: ({ domain, id, to }) =>
    toXml(el('open', framingNs, { from: domain, to, id, version: '1.0', 'xml:lang': 'en' }), ''),
  close: `<close xmlns='${framingNs}'/>`,
  child: toFrame,
  isPerElement: true,
  hasStartTls: false,
  createReader: createFrameReader,
}

/** §3.3.2: what the header of a stream would declare is declared by each frame. */
function toFrame(xml: string): string {
  const end = xml.search(/[ />]/)
  const prefix = xml.startsWith('<stream:') ? ` xmlns:stream='${streamNs}'` : ''
  const ns = xml.startsWith(" xmlns='", end) ? '' : ` xmlns='${clientNs}'`
  return `${xml.slice(0, end)}${ns}${prefix}${xml.slice(end)}`
}

/** Each read is one frame: a whole element, or white space that counts as nothing. */
function createFrameReader(events: XmlEvents, maxElementBytes: number): XmlReader {
  let isOpen = false
  let isDead = false

  function take(element: Element): void {
    const { name, ns, attrs } = element
    const isFraming = ns === framingNs
    if (!isOpen) {
      isOpen = true
      // Anything else is refused as a header would be.
      const isHeader = isFraming && name === 'open'
      events.onOpen(isHeader ? { name: 'stream', ns: streamNs, attrs, children: [] } : element, clientNs)
    } else if (isFraming && name === 'close') events.onClose()
    else events.onElement(element)
  }

  return {
    atRest: true,
    read(bytes) {
      if (isDead) return
      try {
        if (bytes.length > maxElementBytes) throw new XmlFault('policy-violation', 'An element is too large.')
        const element = parseFrame(bytes)
        if (element !== null) take(element)
      } catch (fault) {
        isDead = true
        throw fault
      }
    },
  }
}
