// Which form a message of the log takes for one resource: itself, a XEP-0280 copy, or none. Pure.
// XEP-0280: Message Carbons  https://xmpp.org/extensions/xep-0280.html
import type { Admitted } from '../../broker/types.ts'
import { childOf, clientNs, type Element, elementsOf, textOf } from './element.ts'
import { parseXml } from './xml.ts'

export const carbonsNs = 'urn:xmpp:carbons:2'
const hintsNs = 'urn:xmpp:hints'

/** With these a `normal` message is part of a conversation, too (XEP-0280 §6.1). */
const conversational = new Set([
  'http://jabber.org/protocol/chatstates',
  'urn:xmpp:receipts',
  'urn:xmpp:chat-markers:0',
])

export type Form = 'message' | 'sent' | 'received'

/** What decides about a message, as one resource is concerned. */
export type Reader = Readonly<{
  account: number
  resource: string
  priority: number
  wantsCopies: boolean
  /** Another available resource has the name that the sender aimed at. */
  isElsewhere(resource: string): boolean
}>

/** RFC 6121 §8.5.2.1.1 and §8.5.3.1: the resource that was named if it is there, else all that are not negative. */
export function formOf(message: Admitted, reader: Reader): Form | null {
  const { from, to, toResource } = message
  if (to.id !== reader.account) return isOwn(message, reader) || !takesCopy(message, reader) ? null : 'sent'
  if (toResource === reader.resource) return 'message'
  const isElsewhere = toResource !== null && reader.isElsewhere(toResource)
  if (!isElsewhere && reader.priority >= 0) return 'message'
  if (from.id === reader.account && isOwn(message, reader)) return null
  return takesCopy(message, reader) ? 'received' : null
}

/** MQTT devices have other names in the eyes of XMPP (DESIGN §3). */
function isOwn({ from, device, body }: Admitted, { account, resource }: Reader): boolean {
  return from.id === account && body.format === 'xml' && device === resource
}

function takesCopy(message: Admitted, { wantsCopies }: Reader): boolean {
  return wantsCopies && isCopied(message)
}

/** XEP-0280 §6.1 and §8: conversations are, unless their sender says no. */
export function isCopied({ body, wires }: Admitted): boolean {
  if (body.format === 'json') return true
  const isWrapped = body.text.startsWith('<message ')
  if (!isWrapped && !body.text.includes(carbonsNs) && !body.text.includes(hintsNs)) return true
  const known = wires.get('xmpp:copied')
  if (known !== undefined) return known === 'yes'
  const is = mayBeCopied(parseXml(`<x xmlns='${clientNs}'>${body.text}</x>`))
  wires.set('xmpp:copied', is ? 'yes' : 'no')
  return is
}

function mayBeCopied(outer: Element): boolean {
  const message = childOf(outer, 'message', clientNs) ?? outer
  if (childOf(message, 'private', carbonsNs) !== undefined || childOf(message, 'no-copy', hintsNs) !== undefined) {
    return false
  }
  const type = message.attrs.type ?? 'chat'
  if (type !== 'normal') return type === 'chat'
  const body = childOf(message, 'body', clientNs)
  return (body !== undefined && textOf(body) !== '') || elementsOf(message).some(({ ns }) => conversational.has(ns))
}
