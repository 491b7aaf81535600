import { describe, expect, it } from 'vitest'
import { type Element, toXml } from '../../adapters/xmpp/element.ts'
import { contentOfXml, toMessage, toStanza } from '../../adapters/xmpp/map.ts'
import { readStanza } from '../../adapters/xmpp/stanza.ts'
import { parseXml } from '../../adapters/xmpp/xml.ts'
import { admit } from '../../broker/message-log.ts'
import type { Admitted, Content, LogEntry, Message } from '../../broker/types.ts'

const domain = 'ex.org'
const alice = { id: 1, name: 'alice', address: 'alice@ex.org' }
const bob = { id: 2, name: 'bob', address: 'bob@ex.org' }
const naming = { domain, publicResource: (device: string) => `mqtt-${device}` }

function messageOf(attributes: string, children: string, lang: string | null = null): Message | null {
  const element = parseXml(`<message xmlns='jabber:client' ${attributes}>${children}</message>`)
  const stanza = readStanza(element, 'message')
  if (stanza === null) throw new Error('malformed')
  return toMessage(stanza, { party: alice, resource: 'phone', lang }, domain)
}

function accepted(attributes: string, children: string, lang: string | null = null): Message {
  const message = messageOf(attributes, children, lang)
  if (message === null) throw new Error('nothing left')
  return message
}

function entryOf(message: Message, fields: Partial<LogEntry> = {}): LogEntry {
  const admitted: Admitted = admit({ id: 'id-1', message, to: bob }, Date.UTC(2026, 8, 1, 10, 0, 0, 123))
  return { owner: bob.id, seq: 7, late: false, message: admitted, ...fields }
}

function jsonMessage(content: Content, fields: Partial<Message> = {}): Message {
  return {
    kind: 'message',
    from: alice,
    device: null,
    to: 'bob',
    toResource: null,
    oid: null,
    xid: null,
    content,
    body: { format: 'json', text: JSON.stringify(content) },
    stored: true,
    ...fields,
  }
}

function childrenOf(stanza: string): readonly string[] {
  const element: Element = parseXml(stanza.replace('<message', `<message xmlns='jabber:client'`))
  return element.children.map((child) => toXml(child))
}

const stanzaId = `<stanza-id xmlns='urn:xmpp:sid:0' by='bob@ex.org' id='id-1'/>`

describe('a stanza becomes a message', () => {
  it('with its addresses, id and key', () => {
    const message = accepted(
      `to='Bob@EX.org/desk' id='m1' type='chat'`,
      `<body>hi</body><origin-id xmlns='urn:xmpp:sid:0' id='o1'/>`,
    )
    expect(message).toMatchObject({ kind: 'message', from: alice, device: 'phone', to: 'bob', toResource: 'desk' })
    expect(message).toMatchObject({ oid: 'o1', xid: 'm1', stored: true, content: { text: 'hi' } })
    expect(message.body.text).toBe(`<body>hi</body><origin-id xmlns='urn:xmpp:sid:0' id='o1'/>`)
  })

  it('to its own account when it names nobody (RFC 6120 §10.3.1)', () => {
    expect(accepted(`type='chat'`, '<body>note</body>')).toMatchObject({ to: 'alice', toResource: null })
  })

  it('never takes the id attribute for a key', () => {
    expect(accepted(`to='bob@ex.org' id='1'`, '<body>x</body>').oid).toBeNull()
  })

  it.each([
    ['chat', '<body>x</body>', true],
    ['normal', '<body>x</body>', true],
    ['', '<body>x</body>', true],
    ['headline', '<body>x</body>', false],
    ['chat', '<body/>', false],
    ['chat', `<composing xmlns='http://jabber.org/protocol/chatstates'/>`, false],
    ['chat', `<body>x</body><no-store xmlns='urn:xmpp:hints'/>`, false],
    ['chat', `<body>x</body><no-permanent-store xmlns='urn:xmpp:hints'/>`, false],
    ['chat', `<encrypted xmlns='urn:xmpp:omemo:2'/><store xmlns='urn:xmpp:hints'/>`, true],
  ])('of type %j with %s is stored: %s', (type, children, stored) => {
    expect(accepted(`to='bob@ex.org' type='${type}'`, children).stored).toBe(stored)
  })

  it.each([
    [`<composing xmlns='http://jabber.org/protocol/chatstates'/>`, 'typing'],
    [`<received xmlns='urn:xmpp:receipts' id='x'/>`, 'receipt'],
    [`<displayed xmlns='urn:xmpp:chat-markers:0' id='x'/>`, 'marker'],
    [`<body>x</body><active xmlns='http://jabber.org/protocol/chatstates'/>`, 'message'],
    [`<request xmlns='urn:xmpp:receipts'/><x xmlns='u:x'/>`, 'message'],
  ])('%s is a %s', (children, kind) => {
    expect(accepted(`to='bob@ex.org' type='chat'`, children).kind).toBe(kind)
  })
})

describe('what a client may not say is removed (DESIGN §4)', () => {
  it.each([
    `<x xmlns='http://jabber.org/protocol/muc#user'><item affiliation='owner'/></x>`,
    `<received xmlns='urn:xmpp:carbons:2'><forwarded xmlns='urn:xmpp:forward:0'/></received>`,
    `<sent xmlns='urn:xmpp:carbons:2'/>`,
    `<forwarded xmlns='urn:xmpp:forward:0'/>`,
    `<result xmlns='urn:xmpp:mam:2' id='x'/>`,
    `<delay xmlns='urn:xmpp:delay' stamp='2002-09-10T23:08:25Z'/>`,
    `<x xmlns='jabber:x:delay' stamp='20020910T23:08:25'/>`,
    `<stanza-id xmlns='urn:xmpp:sid:0' by='bob@ex.org' id='forged'/>`,
    `<stanza-id xmlns='urn:xmpp:sid:0' by='BOB@EX.ORG' id='forged'/>`,
    `<stanza-id xmlns='urn:xmpp:sid:0' by='ex.org' id='forged'/>`,
    `<occupant-id xmlns='urn:xmpp:occupant-id:0' id='x'/>`,
    `<message type='chat'><body>inner</body></message>`,
    ' text ',
  ])('%s', (forged) => {
    expect(accepted(`to='bob@ex.org' type='chat'`, `${forged}<body>x</body>`).body.text).toBe('<body>x</body>')
    expect(messageOf(`to='bob@ex.org' type='chat'`, forged)).toBeNull()
  })

  it.each([
    `<stanza-id xmlns='urn:xmpp:sid:0' by='room@elsewhere.org' id='theirs'/>`,
    `<private xmlns='urn:xmpp:carbons:2'/>`,
    `<x xmlns='jabber:x:oob'><url>https://ex.org/a</url></x>`,
    `<sent xmlns='u:mine'/>`,
  ])('but not %s', (kept) => {
    expect(accepted(`to='bob@ex.org' type='chat'`, kept).body.text).toBe(kept)
  })
})

describe('from XMPP to XMPP nothing is lost', () => {
  const omemo = `<encrypted xmlns='eu.siacs.conversations.axolotl'><header sid='1'><key rid='2'>a+/=</key></header></encrypted>`

  it('with the marks of this server behind the children', () => {
    const children = `<body>hi</body><body xml:lang='de'>hallo &amp; so</body>${omemo}<thread parent='p'>t</thread>`
    const entry = entryOf(accepted(`to='bob@ex.org' id='m1' type='chat'`, children))
    expect(toStanza(entry, naming)).toBe(
      `<message from='alice@ex.org/phone' to='bob@ex.org' id='m1' type='chat'>${children}${stanzaId}</message>`,
    )
  })

  it.each([
    [`type='normal'`, null, ` type='normal'`],
    ['', null, ` type='normal'`],
    [`type='unknown'`, null, ` type='normal'`],
    [`type='headline'`, null, ` type='headline'`],
    [`type='chat' xml:lang='de'`, 'en', ` type='chat' xml:lang='de'`],
    [`type='chat'`, 'en', ` type='chat' xml:lang='en'`],
  ])('type and language of %j on a stream in %j', (attributes, lang, kept) => {
    const message = accepted(`to='bob@ex.org' id='m1' ${attributes}`, '<body>x</body>', lang)
    expect(toStanza(entryOf(message), naming)).toBe(
      `<message from='alice@ex.org/phone' to='bob@ex.org' id='m1'${kept}><body>x</body>${stanzaId}</message>`,
    )
    expect(contentOfXml(message.body.text)).toEqual(message.content)
  })

  it('a child of another namespace that is called message stays a child', () => {
    const child = `<message xmlns='u:x' type='a'><y/></message>`
    const entry = entryOf(accepted(`to='bob@ex.org' id='m1' type='chat'`, child))
    expect(childrenOf(toStanza(entry, naming))).toEqual([child, stanzaId])
  })

  it('to the resource that the sender named', () => {
    const entry = entryOf(accepted(`to='bob@ex.org/desk' id='m1' type='chat'`, '<body>x</body>'))
    expect(toStanza(entry, naming)).toContain(` to='bob@ex.org/desk' `)
  })

  it('late, with the time of its admission in UTC (XEP-0203, XEP-0082)', () => {
    const message = accepted(`to='bob@ex.org' id='m1' type='chat'`, '<body>x</body>')
    const [, , delay] = childrenOf(toStanza(entryOf(message, { late: true }), naming))
    expect(delay).toBe(`<delay xmlns='urn:xmpp:delay' from='ex.org' stamp='2026-09-01T10:00:00.123Z'/>`)
  })

  it('without a stanza-id when it is not stored (XEP-0359 §5)', () => {
    const message = accepted(
      `to='bob@ex.org' id='m1' type='chat'`,
      `<gone xmlns='http://jabber.org/protocol/chatstates'/>`,
    )
    expect(toStanza(entryOf(message, { seq: 0 }), naming)).not.toContain('stanza-id')
  })

  it('is written once for all receivers', () => {
    const entry = entryOf(accepted(`to='bob@ex.org' id='m1' type='chat'`, '<body>x</body>'))
    expect(toStanza(entry, naming)).toBe(entry.message.wires.get('xmpp:live'))
  })
})

describe('what came as JSON or text becomes a stanza', () => {
  it('with text, subject, thread and language', () => {
    const content = { text: 'a < b', subject: 's', thread: 't', lang: 'en' }
    const stanza = toStanza(entryOf(jsonMessage(content)), naming)
    expect(stanza).toContain(`<message from='alice@ex.org' to='bob@ex.org' id='id-1' type='chat'>`)
    expect(childrenOf(stanza)).toEqual([
      `<subject xml:lang='en'>s</subject>`,
      `<body xml:lang='en'>a &lt; b</body>`,
      '<thread>t</thread>',
      stanzaId,
    ])
  })

  it('with its media as the body when there is no text (XEP-0066)', () => {
    const stanza = toStanza(entryOf(jsonMessage({ media: [{ url: 'https://ex.org/a?b&c', name: 'a.jpg' }] })), naming)
    expect(childrenOf(stanza).slice(0, 2)).toEqual([
      '<body>https://ex.org/a?b&amp;c</body>',
      `<x xmlns='jabber:x:oob'><url>https://ex.org/a?b&amp;c</url><desc>a.jpg</desc></x>`,
    ])
  })

  it('with its data (XEP-0335)', () => {
    const stanza = toStanza(entryOf(jsonMessage({ data: { a: ['<'] } })), naming)
    expect(childrenOf(stanza)[0]).toBe(`<json xmlns='urn:xmpp:json:0'>{"a":["&lt;"]}</json>`)
  })

  it('with what XML cannot say replaced', () => {
    expect(toStanza(entryOf(jsonMessage({ text: 'a\u0007b' })), naming)).toContain('<body>a\ufffdb</body>')
  })

  it('from the public resource of its MQTT device (DESIGN §3)', () => {
    const stanza = toStanza(entryOf(jsonMessage({ text: 'x' }, { device: 'sensor-1' })), naming)
    expect(stanza).toContain(` from='alice@ex.org/mqtt-sensor-1' `)
  })
})

describe('what the other borders see of a stored stanza', () => {
  it.each<readonly [string, Content]>([
    ['<body>hi</body>', { text: 'hi' }],
    [`<body xml:lang='de'>hallo</body>`, { text: 'hallo', lang: 'de' }],
    [`<body xml:lang='de'>hallo</body><body>hi</body>`, { text: 'hi' }],
    ['<subject>s</subject><body>b</body><thread>t</thread>', { text: 'b', subject: 's', thread: 't' }],
    [
      `<body>https://ex.org/a</body><x xmlns='jabber:x:oob'><url>https://ex.org/a</url><desc>d</desc></x>`,
      { text: 'https://ex.org/a', media: [{ url: 'https://ex.org/a', name: 'd' }] },
    ],
    [`<json xmlns='urn:xmpp:json:0'>{"a":1}</json>`, { data: { a: 1 } }],
    [`<json xmlns='urn:xmpp:json:0'>{"a":</json>`, {}],
    [`<body xmlns='u:other'>not mine</body>`, {}],
    ['', {}],
  ])('%s', (children, content) => {
    expect(contentOfXml(children)).toEqual(content)
  })

  it('however deep a client may nest', () => {
    const deep = `${'<a>'.repeat(62)}${'</a>'.repeat(62)}`
    const message = accepted(`to='bob@ex.org' type='normal'`, `<body>x</body>${deep}`)
    expect(contentOfXml(message.body.text)).toEqual({ text: 'x' })
  })
})
