// RFC 6120 §11: XML Usage  https://www.rfc-editor.org/rfc/rfc6120#section-11
// The only way that XML from the network comes in: saxes behind every guard that it lacks.
import { TextDecoder } from 'node:util'
import type { Element } from './element.ts'
import { createXmlTree, isBlank, toFault, type XmlEvents, XmlFault, type XmlLimits } from './xml-tree.ts'

const strangers: XmlLimits = { depth: 64, attributes: 64 }
/** What we wrote ourselves was within the limits when it came in; declarations that we added do not count against it. */
const ourselves: XmlLimits = { depth: 1000, attributes: 1000 }
const sliceBytes = 16 * 1024

export interface XmlReader {
  /** @throws XmlFault; after that the reader is dead */
  read(bytes: Buffer): void
  /** Nothing is half read: the last byte that counts closed a child of the root. */
  readonly atRest: boolean
}

/** `maxElementBytes`: what one child of the root may take, give or take a slice. */
export function createXmlReader(events: XmlEvents, maxElementBytes: number): XmlReader {
  const decoder = new TextDecoder('utf-8', { fatal: true })
  const tree = createXmlTree(events, strangers)
  let taken = 0
  /** The last slice may have ended in the middle of a character. */
  let maySplit = false
  let fault: XmlFault | null = null

  function decodeSlice(bytes: Buffer): string {
    try {
      return decode(decoder, bytes)
    } catch (error) {
      // What was said well before it has been said, unless the fault may have begun in the slice before.
      if (!maySplit) tree.write(validStartOf(bytes))
      throw error
    } finally {
      maySplit = (bytes.at(-1) ?? 0) >= 0x80
    }
  }

  function readSlice(bytes: Buffer): void {
    const text = decodeSlice(bytes)
    if (tree.atRest && isBlank(text)) return // RFC 6120 §4.6.1: white space keepalives cost nothing
    const completed = tree.completed
    tree.write(text)
    taken = tree.completed === completed ? taken + bytes.length : 0
    if (taken > maxElementBytes) throw new XmlFault('policy-violation', 'An element is too large.')
  }

  return {
    get atRest() {
      return tree.atRest
    },
    read(bytes) {
      if (fault !== null) throw fault
      try {
        for (let at = 0; at < bytes.length; at += sliceBytes) {
          readSlice(bytes.subarray(at, at + sliceBytes))
        }
      } catch (error) {
        fault = toFault(error)
        throw fault
      }
    },
  }
}

/** One element that came as a document of its own; null: nothing but white space. @throws XmlFault */
export function parseFrame(bytes: Buffer): Element | null {
  const found: Element[] = []
  const refuse = (detail: string) => {
    throw new XmlFault('not-well-formed', detail)
  }
  const tree = createXmlTree(
    {
      onOpen: () => undefined,
      onElement: (element) => void found.push(element),
      onText: () => refuse('There is text beside the element.'),
      onClose: () => refuse('What was not opened is closed.'),
    },
    strangers,
  )
  try {
    const text = decode(new TextDecoder('utf-8', { fatal: true }), bytes)
    if (isBlank(text)) return null
    tree.write('<x>')
    tree.write(text)
  } catch (error) {
    throw toFault(error)
  }
  const [element] = found
  if (element === undefined || found.length > 1 || !tree.atRest) refuse('A frame holds one whole element.')
  return element ?? null
}

/** Parses XML that this server has written. @throws XmlFault */
export function parseXml(text: string): Element {
  const found: Element[] = []
  const ignore = () => undefined
  const onElement = (element: Element) => void found.push(element)
  const tree = createXmlTree({ onOpen: ignore, onText: ignore, onClose: ignore, onElement }, ourselves)
  try {
    tree.write(`<x>${text}</x>`)
  } catch (error) {
    throw toFault(error)
  }
  const [element] = found
  if (element === undefined || found.length > 1) throw new XmlFault('not-well-formed', 'Not one element.')
  return element
}

function validStartOf(bytes: Buffer): string {
  const [start = ''] = new TextDecoder('utf-8').decode(bytes).split('\ufffd', 1)
  return start
}

function decode(decoder: TextDecoder, bytes: Buffer): string {
  try {
    return decoder.decode(bytes, { stream: true })
  } catch {
    throw new XmlFault('not-well-formed', 'The bytes are not UTF-8.') // RFC 6120 §11.6
  }
}
