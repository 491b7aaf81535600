// XEP-0313 §4.1: what a query's form asks for  https://xmpp.org/extensions/xep-0313.html#filter
import { type Field, formsNs, readForm } from './data-form.ts'
import { childOf, type Element } from './element.ts'
import { parseJid } from './jid.ts'

export const mamNs = 'urn:xmpp:mam:2'
const maxIds = 250

/** Null: not asked for. */
export type ArchiveFilter = Readonly<{
  peer: Readonly<{ name: string; resource: string | null }> | null
  /** Milliseconds since 1970, both inclusive. */
  start: number | null
  end: number | null
  afterId: string | null
  beforeId: string | null
  ids: readonly string[] | null
}>

export const filterFields: readonly Field[] = [
  { var: 'with', type: 'jid-single' },
  { var: 'start', type: 'text-single' },
  { var: 'end', type: 'text-single' },
  { var: 'before-id', type: 'text-single' },
  { var: 'after-id', type: 'text-single' },
  { var: 'ids', type: 'list-multi' },
]

/** `domain`: the served one, prepared. Null: malformed, or a field that nobody knows (§4.1). */
export function readFilter(query: Element, domain: string): ArchiveFilter | null {
  const form = childOf(query, 'x', formsNs)
  const fields = form === undefined ? new Map<string, readonly string[]>() : readForm(form, mamNs)
  if (fields === null || [...fields.keys()].some((name) => !known.has(name))) return null
  const one = (name: string) => fields.get(name)?.[0] ?? null
  const ids = fields.get('ids') ?? null
  const [peer, start, end] = [readPeer(one('with'), domain), readInstant(one('start')), readInstant(one('end'))]
  if (peer === undefined || start === undefined || end === undefined || (ids?.length ?? 0) > maxIds) return null
  return { peer, start, end, afterId: one('after-id'), beforeId: one('before-id'), ids }
}

const known = new Set(['FORM_TYPE', ...filterFields.map((field) => field.var)])

/** Of another server there is nothing: a name that nobody has. Undefined: no address. */
function readPeer(text: string | null, domain: string): ArchiveFilter['peer'] | undefined {
  if (text === null) return null
  const jid = parseJid(text)
  if (jid === null) return undefined
  return { name: jid.domain === domain ? jid.local : '', resource: jid.resource || null }
}

/** XEP-0082 §3.2. Undefined: not an instant. */
function readInstant(text: string | null): number | null | undefined {
  if (text === null) return null
  const isDateTime = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:\d\d)$/.test(text)
  const at = isDateTime ? Date.parse(text) : Number.NaN
  return Number.isNaN(at) ? undefined : at
}
