// An XML tree without prefixes, and its writer. Every element knows its namespace; nothing is inherited.

export const clientNs = 'jabber:client'

export type Node = Element | string

export type Element = Readonly<{
  name: string
  ns: string
  /** Without a prototype when it came from the network. Declarations of prefixes stay, for QNames in content. */
  attrs: Readonly<Record<string, string | undefined>>
  children: readonly Node[]
}>

/** Attributes that are undefined are not written. */
export function el(name: string, ns: string, attrs: Element['attrs'] = {}, ...children: readonly Node[]): Element {
  return { name, ns, attrs, children }
}

export function isElement(node: Node): node is Element {
  return typeof node !== 'string'
}

export function elementsOf(element: Element): readonly Element[] {
  return element.children.filter(isElement)
}

export function childOf(element: Element, name: string, ns: string = element.ns): Element | undefined {
  return element.children.find((node): node is Element => isElement(node) && node.name === name && node.ns === ns)
}

/** The character data directly inside; null when the child is missing. */
export function childText(element: Element, name: string, ns?: string): string | null {
  const child = childOf(element, name, ns)
  return child === undefined ? null : textOf(child)
}

export function textOf(element: Element): string {
  return element.children.filter((node) => !isElement(node)).join('')
}

/** XML inside a parent of namespace `parentNs`. Trees from the network are at most 64 deep, so recursion is safe. */
export function toXml(node: Node, parentNs: string = clientNs): string {
  if (!isElement(node)) return escapeText(node)
  let xml = `<${node.name}`
  if (node.ns !== parentNs) xml += ` xmlns='${escapeAttribute(node.ns)}'`
  for (const [key, value] of Object.entries(node.attrs)) {
    if (value !== undefined) xml += ` ${key}='${escapeAttribute(value)}'`
  }
  if (node.children.length === 0) return `${xml}/>`
  xml += '>'
  for (const child of node.children) xml += toXml(child, node.ns)
  return `${xml}</${node.name}>`
}

// XML 1.0 §2.2: what no document may contain; text from JSON and MQTT may.
// biome-ignore lint/suspicious/noControlCharactersInRegex: these are the characters to find
const illegal = /[\u0000-\u0008\u000b\u000c\u000e-\u001f\ufffe\uffff\p{Cs}]/gu
const special = /[&<>"'\t\n\r]/g
const specialInText = /[&<>\r]/g

function entity(char: string): string {
  if (char === '&') return '&amp;'
  if (char === '<') return '&lt;'
  if (char === '>') return '&gt;'
  return `&#${char.charCodeAt(0)};`
}

export function escapeText(text: string): string {
  return legal(text).replace(specialInText, entity)
}

export function escapeAttribute(text: string): string {
  return legal(text).replace(special, entity)
}

function legal(text: string): string {
  return text.replace(illegal, '\ufffd')
}
