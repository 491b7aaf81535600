// RFC 6120 §4.7 and §4.9: the stream's header, and its errors  https://www.rfc-editor.org/rfc/rfc6120#section-4.7
import { toDomain } from '../../broker/account-name.ts'
import { clientNs, type Element, el, escapeAttribute, toXml } from './element.ts'
import type { StreamCondition } from './feature.ts'
import { parseJid } from './jid.ts'

export const streamNs = 'http://etherx.jabber.org/streams'
const streamErrorsNs = 'urn:ietf:params:xml:ns:xmpp-streams'

/** Null: a stream that this server speaks. */
export function checkHeader(root: Element, contentNs: string, domain: string): StreamCondition | null {
  const { to, from, version } = root.attrs
  if (root.ns !== streamNs) return 'invalid-namespace'
  if (root.name !== 'stream') return 'bad-format'
  // §4.8.2: the stanzas' namespace, or nothing that excludes it.
  if (![clientNs, streamNs, ''].includes(contentNs)) return 'invalid-namespace'
  if (to === undefined) return 'host-unknown'
  const host = toDomain(to)
  if (host === null || (from !== undefined && parseJid(from) === null)) return 'improper-addressing'
  if (host !== domain) return 'host-unknown'
  // §4.7.5: an absent version is 0.9.
  return /^0*[1-9]\d*\.\d+$/.test(version ?? '') ? null : 'unsupported-version'
}

/** As the client named itself, if it did and could. */
export function nameOf(root: Element | null): string | undefined {
  const from = root?.attrs.from
  return from === undefined || parseJid(from) === null ? undefined : from
}

export type OwnHeader = Readonly<{ domain: string; id: string; to: string | undefined }>

export function headerOf({ domain, id, to }: OwnHeader): string {
  const receiver = to === undefined ? '' : ` to='${escapeAttribute(to)}'`
  return (
    `<?xml version='1.0'?><stream:stream xmlns='${clientNs}' xmlns:stream='${streamNs}'` +
    ` from='${escapeAttribute(domain)}'${receiver} id='${id}' version='1.0' xml:lang='en'>`
  )
}

export function toStreamError(condition: StreamCondition, text?: string, detail?: Element): string {
  const words = text === undefined ? [] : [el('text', streamErrorsNs, { 'xml:lang': 'en' }, text)]
  return toXml(el('stream:error', clientNs, {}, el(condition, streamErrorsNs), ...words, ...(detail ? [detail] : [])))
}
