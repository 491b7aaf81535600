import { describe, expect, it } from 'vitest'
import { type Element, escapeText, toXml } from '../../adapters/xmpp/element.ts'
import { createXmlReader, parseXml } from '../../adapters/xmpp/xml.ts'
import { XmlFault } from '../../adapters/xmpp/xml-tree.ts'

const header = `<?xml version='1.0'?><stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' to='a'>`

function read(chunks: readonly (string | Buffer)[], limit = 256 * 1024, said: string[] = []) {
  const reader = createXmlReader(
    {
      onOpen: (root, contentNs) => said.push(`open ${root.ns} ${root.name} ${contentNs}`),
      onElement: (element) => said.push(toXml(element)),
      onText: () => said.push('text'),
      onClose: () => said.push('close'),
    },
    limit,
  )
  for (const chunk of chunks) reader.read(Buffer.from(chunk as string))
  return { said, reader }
}

function faultOf(chunks: readonly (string | Buffer)[], limit?: number): string {
  try {
    read(chunks, limit)
    return 'none'
  } catch (fault) {
    expect(fault).toBeInstanceOf(XmlFault)
    return (fault as XmlFault).condition
  }
}

describe('what a stream may not contain (RFC 6120 §11)', () => {
  it('leaves what was said well before it in the same chunk', () => {
    const bad = Buffer.from([0xc0, 0x80])
    const said: string[] = []
    expect(() => read([header, Buffer.concat([Buffer.from('<a>ü</a><b/><c>'), bad])], undefined, said)).toThrow(
      XmlFault,
    )
    expect(said.slice(1)).toEqual(['<a>ü</a>', '<b/>'])
    const split: string[] = []
    expect(() => read([header, Buffer.from([0x3c, 0x61, 0x3e, 0xc3]), '</a><b/>'], undefined, split)).toThrow(XmlFault)
    expect(split).toHaveLength(1)
  })

  const deep = '<a>'.repeat(100)
  const hostile: readonly [why: string, xml: string | Buffer, condition: string][] = [
    ['a document type', '<!DOCTYPE x>', 'restricted-xml'],
    ['a comment (§11.1)', '<!-- x -->', 'restricted-xml'],
    ['a processing instruction (§11.1)', '<?x y?>', 'restricted-xml'],
    ['an entity of its own (§11.1)', '<a>&x;</a>', 'restricted-xml'],
    ['an entity of its own in an attribute', `<a b='&x;'/>`, 'restricted-xml'],
    ['a second XML declaration', `<?xml version='1.0'?>`, 'not-well-formed'],
    ['an ampersand that nothing ends', '<a>this & that and more</a>', 'not-well-formed'],
    ['an empty entity', '<a>&;</a>', 'not-well-formed'],
    ['a character reference to NUL', '<a>&#0;</a>', 'not-well-formed'],
    ['a character reference to a surrogate', '<a>&#xD800;</a>', 'not-well-formed'],
    ['a control character', '<a>\u0001</a>', 'not-well-formed'],
    ['U+FFFE', '<a>\ufffe</a>', 'not-well-formed'],
    ['a prefix that nobody declared', '<x:a/>', 'not-well-formed'],
    ['a prefix of an attribute that nobody declared', `<a x:b='c'/>`, 'not-well-formed'],
    ['an attribute twice', `<a b='1' b='2'/>`, 'not-well-formed'],
    ['an attribute twice by namespace', `<a xmlns:x='u' xmlns:y='u' x:b='1' y:b='2'/>`, 'not-well-formed'],
    ['an attribute without quotes', '<a b=c/>', 'not-well-formed'],
    ['an attribute without value', '<a b/>', 'not-well-formed'],
    ['a less-than sign in an attribute', `<a b='<'/>`, 'not-well-formed'],
    ['attributes without white space', `<a b='1'c='2'/>`, 'not-well-formed'],
    ['tags that cross', '<a><b></a></b>', 'not-well-formed'],
    ['the end of a section outside of one', '<a>]]></a>', 'not-well-formed'],
    ['a namespace bound to xmlns', `<a xmlns:xmlns='u'/>`, 'not-well-formed'],
    ['an empty namespace for a prefix', `<a xmlns:x=''/>`, 'not-well-formed'],
    ['bytes that are not UTF-8 (§11.6)', Buffer.from([0x3c, 0x61, 0x3e, 0xc0, 0x80]), 'not-well-formed'],
    ['UTF-8 of a surrogate', Buffer.from([0x3c, 0x61, 0x3e, 0xed, 0xa0, 0x80]), 'not-well-formed'],
    ['elements nested too deep', deep, 'policy-violation'],
    ['too many attributes', `<a ${Array.from({ length: 65 }, (_, i) => `b${i}='c'`).join(' ')}/>`, 'policy-violation'],
  ]

  it.each(hostile)('%s is refused', (_why, xml, condition) => {
    expect(faultOf([header, xml])).toBe(condition)
  })

  it.each(hostile)('%s is refused when it comes byte by byte', (_why, xml, condition) => {
    const bytes = Buffer.from(xml as string)
    expect(faultOf([header, ...Array.from(bytes, (_, i) => bytes.subarray(i, i + 1))])).toBe(condition)
  })

  it.each(['UTF-16', 'ISO-8859-1', 'ascii'])('the encoding %s is refused (§11.6)', (encoding) => {
    expect(faultOf([`<?xml version='1.0' encoding='${encoding}'?><a>`])).toBe('unsupported-encoding')
  })

  it('a document type in front of the stream is refused', () => {
    expect(faultOf([`<!DOCTYPE a [<!ENTITY x 'y'>]><a>`])).toBe('restricted-xml')
  })

  it.each([
    ['<a/><!-- x -->', ['<a/>']],
    ['<a/><b></a>', ['<a/>']],
    ['<a/>&;', ['<a/>']],
    ['<a></b>', []],
    ['<a><b></a>', []],
    ['<a/></other>', ['<a/>']],
  ])('of %j what came whole before the fault is told', (xml, told) => {
    const said: string[] = []
    const onElement = (element: Element) => void said.push(toXml(element))
    const ignore = () => {}
    const reader = createXmlReader(
      { onOpen: ignore, onElement, onText: ignore, onClose: () => said.push('close') },
      1000,
    )
    expect(() => reader.read(Buffer.from(header + xml))).toThrow(XmlFault)
    expect(said).toEqual(told)
  })

  it('nothing is read after a fault', () => {
    const { reader } = read([header])
    expect(() => reader.read(Buffer.from('<a></b>'))).toThrow(XmlFault)
    expect(() => reader.read(Buffer.from('<a/>'))).toThrow(XmlFault)
  })
})

describe('the size of an element', () => {
  it('ends the stream before the element is whole', () => {
    expect(faultOf([header, `<a b='${'x'.repeat(300_000)}`])).toBe('policy-violation')
    expect(faultOf([header, `<a>${'<b/>'.repeat(100_000)}`])).toBe('policy-violation')
    expect(faultOf([header, ' '.repeat(5_000), `<a>${'x'.repeat(12_000)}`], 10_000)).toBe('policy-violation')
  })

  it('counts from the last element on, however many there are', () => {
    const element = `<a>${'x'.repeat(9_000)}</a>`
    const { said } = read([header, ...Array.from({ length: 50 }, () => element)], 10_000)
    expect(said).toHaveLength(51)
  })
})

describe('reading a stream', () => {
  const play = [
    `${header}<message to='b'><body xml:lang='de'>ü 📱 &amp;&lt;&#x41;</body></message> `,
    `<x:iq xmlns:x='jabber:client' x:y='z'><q xmlns='u:q'><r xmlns=''/></q></x:iq>\n`,
    `<presence><![CDATA[a & b]]></presence></stream:stream>`,
  ].join('')
  const said = [
    'open http://etherx.jabber.org/streams stream jabber:client',
    `<message to='b'><body xml:lang='de'>ü 📱 &amp;&lt;A</body></message>`,
    `<iq xmlns:x='jabber:client' x:y='z'><q xmlns='u:q'><r xmlns=''/></q></iq>`,
    `<presence>a &amp; b</presence>`,
    'close',
  ]

  it('makes the same of it wherever it is cut', () => {
    const bytes = Buffer.from(play)
    for (let cut = 0; cut <= bytes.length; cut++) {
      expect(read([bytes.subarray(0, cut), bytes.subarray(cut)]).said).toEqual(said)
    }
  })

  it('makes the same of it byte by byte', () => {
    const bytes = Buffer.from(play)
    expect(read(Array.from(bytes, (_, i) => bytes.subarray(i, i + 1))).said).toEqual(said)
  })

  it('moves an element without its prefixes losing their meaning', () => {
    const open = `<s:stream xmlns:s='http://etherx.jabber.org/streams' xmlns:p='u:p' xmlns='jabber:client'>`
    const { said } = read([open, `<message><p:e p:a='1' b='2'><c/></p:e></message>`])
    expect(said[1]).toBe(`<message><e xmlns='u:p' p:a='1' xmlns:p='u:p' b='2'><c xmlns='jabber:client'/></e></message>`)
  })

  it('lets white space between elements cost nothing (§4.6.1)', () => {
    const { said, reader } = read([header, '<a/>', ...Array.from({ length: 100 }, () => ' \n'.repeat(100))], 10_000)
    expect(said).toHaveLength(2)
    expect(reader.atRest).toBe(true)
  })

  it('keeps white space that stands inside an attribute of the next element', () => {
    const { said } = read([header, `<a/><b c='>`, '  ', `'/>`])
    expect(said.at(-1)).toBe(`<b c='&gt;  '/>`)
  })

  it('tells text between elements', () => {
    expect(read([header, 'x<a/>']).said[1]).toBe('text')
  })

  it.each([
    ['<a/>', true],
    ['<a/> \n', true],
    ['<a/><', false],
    ['<a/><b', false],
    ['<a/><b>', false],
    [`<a/><b c='>`, false],
    ['<a/>x', false],
  ])('after %j it is at rest: %j', (xml, atRest) => {
    expect(read([header, xml]).reader.atRest).toBe(atRest)
  })

  it('keeps attributes whose names mean something to JavaScript', () => {
    const { said } = read([header, `<a __proto__='x' constructor='y'/>`])
    expect(said[1]).toBe(`<a __proto__='x' constructor='y'/>`)
  })
})

describe('writing', () => {
  it('gives back what was read', () => {
    const tree: Element = parseXml(`<a b="x'&#9;&#10;&#13;&quot;&lt;">&#13;]]&gt; y</a>`)
    expect(parseXml(toXml(tree, ''))).toEqual(tree)
  })

  it('replaces what XML cannot say', () => {
    expect(escapeText('a\u0000b\u001fc\ufffed\ud800e📱')).toBe('a\ufffdb\ufffdc\ufffdd\ufffde📱')
  })
})
