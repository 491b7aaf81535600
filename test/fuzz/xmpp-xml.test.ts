import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { type Element, el, type Node, toXml } from '../../adapters/xmpp/element.ts'
import { contentOfXml, toMessage } from '../../adapters/xmpp/map.ts'
import { readStanza } from '../../adapters/xmpp/stanza.ts'
import { createXmlReader, parseXml } from '../../adapters/xmpp/xml.ts'
import { XmlFault } from '../../adapters/xmpp/xml-tree.ts'
import { runs } from '../helpers/hostile-fuzz.ts'

const header = `<?xml version='1.0'?><stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'>`

function readInto(said: unknown[], chunks: readonly Buffer[]): void {
  const say = (what: unknown) => void said.push(what)
  const events = { onOpen: say, onElement: say, onText: () => say('text'), onClose: () => say('close') }
  const reader = createXmlReader(events, 64 * 1024)
  for (const chunk of chunks) reader.read(chunk)
}

/** Cuts at the given places, which may repeat. */
function cut(bytes: Buffer, places: readonly number[]): readonly Buffer[] {
  const at = [0, ...places.map((place) => place % (bytes.length + 1)).sort((a, b) => a - b), bytes.length]
  return at.slice(1).map((end, i) => bytes.subarray(at[i], end))
}

const name = fc.constantFrom('a', 'body', 'message', 'x', 'forwarded', 'delay', 'stanza-id', '\u00fc')
const ns = fc.constantFrom(
  'jabber:client',
  '',
  'u:x',
  'urn:xmpp:delay',
  'urn:xmpp:sid:0',
  'jabber:x:oob',
  'urn:xmpp:json:0',
)
const attrs = fc.dictionary(
  fc.constantFrom('to', 'id', 'xml:lang', 'by', '__proto__'),
  fc.string({ unit: 'grapheme' }),
  {
    maxKeys: 3,
  },
)
const { element } = fc.letrec<{ element: Element; node: Node }>((tie) => ({
  node: fc.oneof({ maxDepth: 4 }, fc.string({ unit: 'binary', minLength: 1, maxLength: 5 }), tie('element')),
  element: fc
    .tuple(name, ns, attrs, fc.array(tie('node'), { maxLength: 4 }))
    .map(([elementName, elementNs, elementAttrs, children]) => el(elementName, elementNs, elementAttrs, ...children)),
}))

const places = fc.array(fc.nat(5000), { maxLength: 8 })

describe('XML from anybody', () => {
  it('of any bytes and in any pieces ends in elements or in a fault, the same one', () => {
    const alphabet = `<>/&;'"=! ?-[]ax:\n\u00fc\u0000`
      .split('')
      .concat('<a', '</a>', 'xmlns', '<!--', '&amp;', '<![CDATA[', ']]>')
    const bytes = fc
      .array(fc.constantFrom(...alphabet), { maxLength: 40 })
      .map((parts) => Buffer.from(header + parts.join('')))
    fc.assert(
      fc.property(bytes, places, (input, at) => {
        const outcomes = [[input], cut(input, at)].map((chunks) => {
          const said: unknown[] = []
          try {
            readInto(said, chunks)
            return { said, fault: null }
          } catch (fault) {
            expect(fault).toBeInstanceOf(XmlFault)
            return { said, fault: (fault as XmlFault).condition }
          }
        })
        expect(outcomes[1]?.fault).toBe(outcomes[0]?.fault)
        expect(elementsIn(outcomes[1]?.said)).toEqual(elementsIn(outcomes[0]?.said))
      }),
      runs(1000),
    )
  })

  it('that we write reads back as the same, wherever it is cut', () => {
    fc.assert(
      fc.property(element, places, (tree, at) => {
        const said: unknown[] = []
        const xml = toXml(tree, 'jabber:client')
        readInto(said, cut(Buffer.from(`${header}${xml}`), at))
        expect(toXml(said[1] as Element, 'jabber:client')).toBe(xml)
      }),
      runs(500),
    )
  })

  it('that a border accepted can be read from the log, with the same content', () => {
    const sender = { party: { id: 1, name: 'a', address: 'a@ex.org' }, resource: 'r', lang: null }
    const type = fc.constantFrom('chat', 'normal', 'headline', '')
    const lang = fc.option(fc.string(), { nil: undefined })
    fc.assert(
      fc.property(fc.array(element, { maxLength: 4 }), type, lang, (children, kind, language) => {
        const wire = toXml(el('message', 'jabber:client', { type: kind, 'xml:lang': language }, ...children), '')
        const stanza = readStanza(parseXml(wire), 'message')
        const message = stanza && toMessage(stanza, sender, 'ex.org')
        if (message !== null) expect(contentOfXml(message.body.text)).toEqual(message.content)
      }),
      runs(500),
    )
  })
})

/** Text is told in pieces; elements are what counts. */
function elementsIn(said: readonly unknown[] = []): readonly string[] {
  return said.flatMap((what) => (typeof what === 'object' && what !== null ? [toXml(what as Element, '')] : []))
}
