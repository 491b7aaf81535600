// DESIGN §2, §4: what a door makes of a payload, and what a line of text shows.
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { BrokerError } from '../../broker/errors.ts'
import { draftMessage, readDoorPayload, toEnvelope, toTextLine } from '../../broker/message.ts'
import { admit } from '../../broker/message-log.ts'
import type { Content, LogEntry } from '../../broker/types.ts'

const alice = { id: 1, name: 'alice', address: 'alice@ex.org' }
const bob = { id: 2, name: 'bob', address: 'bob@ex.org' }

function entry(content: Content, owner = bob.id): LogEntry {
  const message = draftMessage({ kind: 'message', oid: null, content }, { from: alice, device: 'phone', to: 'bob' })
  return { owner, seq: 7, late: false, message: admit({ id: 'i', message, to: bob }, 0) }
}

const read = (payload: string | Buffer, type: string | null = null) => readDoorPayload(Buffer.from(payload), type)

describe('a door', () => {
  it('never throws, and what it takes has something to show', () => {
    const type = fc.constantFrom(null, 'text/plain', 'application/vnd.clearbox+json', 'image/png')
    const payload = fc.oneof(
      fc.uint8Array().map((bytes) => Buffer.from(bytes)),
      fc.json().map((text) => Buffer.from(text)),
      fc.json().map((text) => Buffer.from(`{"v":1,"kind":"message","data":${text}}`)),
    )
    fc.assert(
      fc.property(payload, type, (bytes, contentType) => {
        const draft = readDoorPayload(bytes, contentType)
        if (draft instanceof BrokerError || draft.kind !== 'message') return
        const { text, data, subject, media } = draft.content
        expect(Boolean(text || subject || media?.length) || data !== undefined).toBe(true)
        expect(JSON.stringify(draft.content)).not.toContain('\\u0000')
      }),
      { numRuns: 500 },
    )
  })

  it('takes 64 KiB and no byte more', () => {
    expect(read('x'.repeat(65_536))).toMatchObject({ content: { text: 'x'.repeat(65_536) } })
    expect(read('x'.repeat(65_537))).toMatchObject({ code: 'too-large' })
  })

  it('knows null as absent, and ignores fields that are not the client’s', () => {
    expect(read('{"v":1,"kind":"message","text":"x","lang":null,"oid":null,"from":"eve","strange":1}')).toEqual({
      kind: 'message',
      oid: null,
      content: { text: 'x' },
    })
  })

  it('keeps a byte order mark as text', () => {
    expect(read('\uFEFF{"v":1}')).toMatchObject({ content: { text: '\uFEFF{"v":1}' } })
  })

  it.each([
    '{"v":1,"kind":"message","text":"x","ttl":0}',
    '{"v":1,"kind":"message","text":"x","ttl":1.5}',
    '{"v":1,"kind":"message","text":"x","oid":""}',
    '{"v":1,"kind":"message","text":"x","media":[{"type":"image/png"}]}',
    '{"v":1,"kind":"message","text":"x","reply":"id"}',
    '{"v":1,"kind":"edit","text":"x"}',
    '{"v":1,"kind":"marker"}',
    '{"v":1,"kind":"receipt","ref":""}',
    '{"v":1,"kind":"typing","data":{"state":"flying"}}',
    '{"v":1,"kind":"typing","data":{"state":"gone","more":1}}',
    '{"v":1,"kind":"message","text":""}',
  ])('refuses %s', (payload) => expect(read(payload)).toMatchObject({ code: 'bad-payload' }))
})

it.each([
  ['{"v":1,"kind":"marker","ref":"id","text":"x"}', 'marker', { ref: 'id' }],
  ['{"v":1,"kind":"receipt","ref":"id","ttl":null}', 'receipt', { ref: 'id' }],
  ['{"v":1,"kind":"typing","thread":"t"}', 'typing', {}],
  ['{"v":1,"kind":"typing","data":{"state":"paused"}}', 'typing', { data: { state: 'paused' } }],
])('a door takes of %s what the kind may say, and it is no message of the log', (payload, kind, content) => {
  const draft = read(payload)
  expect(draft).toEqual({ kind, oid: null, content })
  if (draft instanceof BrokerError) return
  expect(draftMessage(draft, { from: alice, device: null, to: 'bob' }).stored).toBe(false)
})

describe('a line of text', () => {
  it('begins with the name on its first line alone, and has no control characters but tab', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', minLength: 1 }), (text) => {
        const lines = (toTextLine(entry({ text })) ?? '').split('\n')
        expect(lines[0]?.startsWith('alice: ')).toBe(true)
        for (const line of lines.slice(1)) expect(line.startsWith('  ')).toBe(true)
        // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what must not be there
        expect(lines.some((line) => /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u2028\u2029]/.test(line))).toBe(false)
      }),
    )
  })

  it('shows the addresses of media, and nothing of data', () => {
    expect(toTextLine(entry({ media: [{ url: 'https://a' }, { url: 'https://b' }] }))).toBe(
      'alice: https://a\n  https://b',
    )
    expect(toTextLine(entry({ data: 1 }))).toBeNull()
  })
})

it('an envelope shows the device to its own account only', () => {
  expect(toEnvelope(entry({ text: 'x' }, bob.id))).not.toHaveProperty('dev')
  expect(toEnvelope(entry({ text: 'x' }, alice.id))).toMatchObject({ dev: 'phone', seq: '7', from: 'alice@ex.org' })
})
