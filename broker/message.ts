// The envelope (DESIGN §4): what a client may say, and how a message looks as JSON. Pure.
import { z } from 'zod'
import { BrokerError } from './errors.ts'
import type { Body, Content, Kind, LogEntry, Message } from './types.ts'

/** Text and JSON that one chat message may carry, in bytes (DESIGN §2). */
export const maxChatBytes = 64 * 1024
export const envelopeType = 'application/vnd.clearbox+json'

const kinds = new Set<string>([
  'message',
  'edit',
  'retract',
  'moderate',
  'react',
  'receipt',
  'marker',
  'typing',
  'presence',
  'invite',
  'subject',
  'join',
  'leave',
  'error',
] satisfies Kind[]) // prettier-ignore

/** PostgreSQL keeps no NUL and no half of a surrogate pair, and no client can show them. */
function isStorableText(value: string): boolean {
  return !value.includes('\0') && !/\p{Cs}/u.test(value)
}

const text = z.string().refine(isStorableText, 'must be well-formed Unicode without U+0000')
/** A short text that every protocol and the store can take. */
export const word = text.max(1024)
const maxDepth = 64

/** `data` is any JSON that the store and other parsers can take: no NUL in a string or name, and not nested without end. */
function isStorableJson(value: unknown, depth = 0): boolean {
  if (typeof value === 'string') return isStorableText(value)
  if (typeof value !== 'object' || value === null) return true
  if (depth === maxDepth) return false
  return Object.entries(value).every(([name, field]) => isStorableText(name) && isStorableJson(field, depth + 1))
}

const json = z
  .unknown()
  .refine((value) => isStorableJson(value), `must not contain U+0000 or be nested more than ${maxDepth} deep`)

export const mediaSchema = z.strictObject({
  url: word.min(1),
  type: word.exactOptional(),
  size: z.int().nonnegative().exactOptional(),
  name: word.exactOptional(),
  sha256: word.exactOptional(),
})

/** The fields that a client may set; what the broker sets is left out, so a client's copies of it vanish. */
export const contentSchema = z.object({
  text: text.max(maxChatBytes).exactOptional(),
  lang: word.exactOptional(),
  subject: text.max(maxChatBytes).exactOptional(),
  thread: word.exactOptional(),
  reply: z.strictObject({ id: word }).exactOptional(),
  media: z.array(mediaSchema).max(32).exactOptional(),
  data: json.exactOptional(),
  ttl: z.int().positive().max(0xffffffff).exactOptional(),
})

/** The kind that REST takes today; doors take those of `envelopeSchemas`. */
export const sendableKind = z.literal('message')
export const oidSchema = word.min(1)

/** XEP-0085 §5.1; without a state somebody who types is composing. */
export const typingStates = ['active', 'composing', 'paused', 'inactive', 'gone'] as const

const refSchema = z.object({ ref: word.min(1) })
const typingSchema = z.object({ data: z.strictObject({ state: z.enum(typingStates) }).exactOptional() })
const frame = { v: z.literal(1).exactOptional(), oid: oidSchema.exactOptional() }

/** What each kind that a door takes may say. */
const envelopeSchemas = {
  message: contentSchema.extend({ ...frame, kind: sendableKind.exactOptional() }),
  receipt: refSchema.extend({ ...frame, kind: z.literal('receipt') }),
  marker: refSchema.extend({ ...frame, kind: z.literal('marker') }),
  typing: typingSchema.extend({ ...frame, kind: z.literal('typing') }),
} as const

export type Draft = Readonly<{ kind: Kind; oid: string | null; content: Content }>

/** A message has something to show: text, media, data or a subject. */
export function isEmptyContent(content: Content): boolean {
  return !content.text && !content.subject && !content.media?.length && content.data === undefined
}

/**
 * What a door makes of a payload (DESIGN §2): an envelope when the content type or the JSON says so, else text.
 * A refusal is a BrokerError `bad-payload` or `too-large`.
 */
export function readDoorPayload(payload: Buffer, contentType: string | null): Draft | BrokerError {
  if (payload.length > maxChatBytes) return new BrokerError('too-large')
  const source = decodeUtf8(payload)
  const type = contentType?.split(';', 1)[0]?.trim().toLowerCase() ?? null
  if (source === null) return new BrokerError('bad-payload', 'A door takes UTF-8 text without NUL, or an envelope.')
  if (type === envelopeType) return readEnvelope(parseJson(source))
  if (type !== 'text/plain' && source.startsWith('{')) {
    const value = parseJson(source)
    if (looksLikeEnvelope(value)) return readEnvelope(value)
  }
  return source === ''
    ? new BrokerError('bad-payload', 'The message is empty.')
    : { kind: 'message', oid: null, content: { text: source } }
}

function looksLikeEnvelope(value: unknown): boolean {
  if (typeof value !== 'object' || value === null) return false
  const { v, kind } = value as Record<string, unknown>
  return v === 1 && typeof kind === 'string' && kinds.has(kind)
}

function readEnvelope(value: unknown): Draft | BrokerError {
  const parsed = schemaOf(value).safeParse(dropNulls(value))
  if (!parsed.success) {
    const issue = parsed.error.issues[0]
    return new BrokerError(
      'bad-payload',
      `envelope ${issue?.path.join('.') || '(root)'}: ${issue?.message ?? 'invalid'}`,
    )
  }
  const { v: _version, kind = 'message', oid = null, ...content } = parsed.data
  const isEmpty = kind === 'message' && isEmptyContent(content)
  return isEmpty ? new BrokerError('bad-payload', 'The message is empty.') : { kind, oid, content }
}

/** A kind that no door takes is a message's fault. */
function schemaOf(value: unknown): (typeof envelopeSchemas)[keyof typeof envelopeSchemas] {
  const kind = typeof value === 'object' && value !== null && 'kind' in value ? value.kind : undefined
  return kind === 'receipt' || kind === 'marker' || kind === 'typing' ? envelopeSchemas[kind] : envelopeSchemas.message
}

/** The envelope writes absent fields as null (DESIGN §4); the schema knows them as absent. */
function dropNulls(value: unknown): unknown {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return value
  return Object.fromEntries(Object.entries(value).filter(([, field]) => field !== null))
}

function parseJson(source: string): unknown {
  try {
    return JSON.parse(source)
  } catch {
    return undefined
  }
}

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

function decodeUtf8(bytes: Buffer): string | null {
  try {
    const source = utf8.decode(bytes)
    return source.includes('\0') ? null : source
  } catch {
    return null
  }
}

export function jsonBody(content: Content): Body {
  return { format: 'json', text: JSON.stringify(content) }
}

/** A message made from JSON or plain text by MQTT or HTTP. */
export function draftMessage(draft: Draft, end: Pick<Message, 'from' | 'device' | 'to'>): Message {
  const stored = draft.kind === 'message'
  return { ...end, ...draft, toResource: null, xid: null, body: jsonBody(draft.content), stored }
}

export type Envelope = Readonly<
  {
    v: 1
    kind: Kind
    id: string
    oid?: string
    seq?: string
    from: string
    dev?: string
    to: string
    ts: string
  } & Content
>

/** The envelope as one owner sees it: `seq` is the owner's, `dev` is shown to the sender's own account only. */
export function toEnvelope(entry: LogEntry): Envelope {
  const { message, seq, owner } = entry
  return {
    v: 1,
    kind: message.kind,
    id: message.id,
    ...(message.oid !== null && { oid: message.oid }),
    ...(seq > 0 && { seq: String(seq) }),
    from: message.from.address,
    ...(owner === message.from.id && message.device !== null && { dev: message.device }),
    to: message.to.address,
    ts: new Date(message.ts).toISOString(),
    ...message.content,
  }
}

const control = /[\p{Cc}\u2028\u2029]/gu

/**
 * The line of `u/{me}/text` (DESIGN §2): `alice: hi`. It cannot be forged: control characters but tab become U+FFFD, a line
 * break becomes line break + two spaces. Null: nothing to show.
 */
export function toTextLine(entry: LogEntry): string | null {
  const { content, from } = entry.message
  const shown = content.text ?? content.media?.map((medium) => medium.url).join('\n')
  if (!shown) return null
  const safe = shown
    .replaceAll('\r\n', '\n')
    .replace(control, (char) => (char === '\t' || char === '\n' ? char : '\uFFFD'))
    .replaceAll('\n', '\n  ')
  return `${from.name}: ${safe}`
}
