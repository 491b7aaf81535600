// XEP-0059: Result Set Management  https://xmpp.org/extensions/xep-0059.html
import { childOf, childText, type Element, el, textOf } from './element.ts'

const rsmNs = 'http://jabber.org/protocol/rsm'

/** Which page is wanted. `max` null: the server chooses. `before` '': the last page. */
export type PageRequest = Readonly<{
  max: number | null
  after: string | null
  before: string | null
  index: number | null
}>

/** Null: malformed. */
export function readPageRequest(query: Element): PageRequest | null {
  const set = childOf(query, 'set', rsmNs)
  if (set === undefined) return { max: null, after: null, before: null, index: null }
  const max = readNumber(childText(set, 'max'))
  const index = readNumber(childText(set, 'index'))
  if (max === undefined || index === undefined) return null
  const before = childOf(set, 'before')
  return { max, index, after: childText(set, 'after') || null, before: before === undefined ? null : textOf(before) }
}

/** Undefined: no number. */
function readNumber(text: string | null): number | null | undefined {
  if (text === null) return null
  return /^\s*\d{1,9}\s*$/.test(text) ? Number(text) : undefined
}

export type Page = Readonly<{ first: string | null; last: string | null; index: number | null; count: number | null }>

export function toPage({ first, last, index, count }: Page): Element {
  const attrs = index === null ? {} : { index: String(index) }
  return el(
    'set',
    rsmNs,
    {},
    ...(first === null ? [] : [el('first', rsmNs, attrs, first)]),
    ...(last === null ? [] : [el('last', rsmNs, {}, last)]),
    ...(count === null ? [] : [el('count', rsmNs, {}, String(count))]),
  )
}
