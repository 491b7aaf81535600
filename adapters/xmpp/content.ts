// What the other borders can show of a <message/>: text, subject, thread, XEP-0066 media, XEP-0335 data.
import type { Content, Media } from '../../broker/types.ts'
import { childOf, childText, type Element, elementsOf, textOf } from './element.ts'

/** `lang`: the language of what names none itself. */
export function contentOf(message: Element, lang: string | null): Content {
  const body = inLanguage(message, 'body', lang)
  const subject = inLanguage(message, 'subject', lang)
  const text = body === undefined ? '' : textOf(body)
  const spoken = body?.attrs['xml:lang'] ?? (body === undefined ? undefined : lang)
  const thread = childText(message, 'thread')
  const media = elementsOf(message).flatMap(toMedia)
  const data = dataOf(message)
  return {
    ...(text !== '' && { text }),
    ...(spoken && { lang: spoken }),
    ...(subject !== undefined && { subject: textOf(subject) }),
    ...(thread && { thread }),
    ...(media.length > 0 && { media }),
    ...(data !== undefined && { data }),
  }
}

/** RFC 6121 §5.2.3: of several the one in the message's own language, else the first. */
function inLanguage(message: Element, name: string, lang: string | null): Element | undefined {
  const found = elementsOf(message).filter((child) => child.name === name && child.ns === message.ns)
  return found.find(({ attrs }) => attrs['xml:lang'] === undefined || attrs['xml:lang'] === lang) ?? found[0]
}

function toMedia(child: Element): Media[] {
  if (child.name !== 'x' || child.ns !== 'jabber:x:oob') return []
  const url = childText(child, 'url')
  const name = childText(child, 'desc')
  return url ? [{ url, ...(name && { name }) }] : []
}

function dataOf(message: Element): unknown {
  const json = childOf(message, 'json', 'urn:xmpp:json:0')
  if (json === undefined) return undefined
  try {
    return JSON.parse(textOf(json))
  } catch {
    return undefined
  }
}
