// Presence as XMPP says it.
import type { Device, Show, Verb } from '../../broker/contacts.ts'
import { childText, clientNs, type Element, el } from './element.ts'
import { parseXml } from './xml.ts'

type Ends = Readonly<{ from: string; to: string }>

/** RFC 6121 §3: a verb, with what the sender wrote to it, as XML. */
export function toRequest(verb: Verb, { from, to }: Ends, request: string): Element {
  const { children } = parseXml(`<presence xmlns='${clientNs}'>${request}</presence>`)
  return el('presence', clientNs, { type: verb, from, to }, ...children)
}

/** A device that has not spoken XMPP, as if it had. */
export function toPresence({ show, status, priority }: Device): Element {
  const children: Element[] = []
  if (show !== 'available' && show !== 'offline') children.push(el('show', clientNs, {}, show))
  if (status !== '') children.push(el('status', clientNs, {}, status))
  if (priority !== 0) children.push(el('priority', clientNs, {}, String(priority)))
  return el('presence', clientNs, show === 'offline' ? { type: 'unavailable' } : {}, ...children)
}

const maxStatusLength = 1024

/** What the other protocols are told of a presence. */
export function toDevice(presence: Element, resource: string, priority: number): Device {
  const isHere = presence.attrs.type !== 'unavailable'
  const status = (childText(presence, 'status') ?? '').slice(0, maxStatusLength)
  return { resource, show: isHere ? readShow(presence) : 'offline', status, priority, since: Date.now() }
}

/** RFC 6121 §4.7.2.1: what is none of them says nothing. */
function readShow(presence: Element): Show {
  const text = childText(presence, 'show')?.trim()
  return shows.find((show) => show === text) ?? 'available'
}

const shows: readonly Show[] = ['chat', 'away', 'xa', 'dnd']

/** RFC 6121 §4.7.2.3; null: not a priority. */
export function readPriority(presence: Element): number | null {
  const text = childText(presence, 'priority')?.trim() ?? '0'
  const priority = /^[+-]?\d{1,3}$/.test(text) ? Number(text) : Number.NaN
  return priority >= -128 && priority <= 127 ? priority : null
}
