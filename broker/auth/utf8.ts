import { TextDecoder } from 'node:util'

const strict = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

/** Null: not UTF-8. */
export function decodeUtf8(bytes: Buffer): string | null {
  try {
    return strict.decode(bytes)
  } catch {
    return null
  }
}
