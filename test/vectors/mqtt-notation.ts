// How MQTT packets are written down in the vector files.

const TOKEN = /\s*(?:([0-9a-f]{2})|'([^']*)'|"([^"]*)"|([~{}]))/uy

/**
 * `0f` a byte · `'a/b'` a string with its length (§1.5.4) · `"hi"` bare UTF-8 · `{ … }` with a Variable Byte Integer for
 * its length (properties) · `~ …` the same for all that follows (a remaining length).
 */
export function bytes(notation: string): Buffer {
  const open: Buffer[][] = [[]]
  const rests: number[] = []
  TOKEN.lastIndex = 0
  while (TOKEN.lastIndex < notation.trimEnd().length) {
    const token = TOKEN.exec(notation)
    if (token === null) throw new Error(`Not in the notation of packets: ${notation}`)
    const [, hex, text, bare, sign] = token
    const parts = open.at(-1) ?? []
    if (hex !== undefined) parts.push(Buffer.from(hex, 'hex'))
    else if (text !== undefined) parts.push(withLength(Buffer.from(text)))
    else if (bare !== undefined) parts.push(Buffer.from(bare))
    else if (sign === '}') close(open)
    else open.push([])
    if (sign === '~') rests.push(open.length)
  }
  for (const _ of rests) close(open)
  return Buffer.concat(open.flat())
}

function close(open: Buffer[][]): void {
  const inner = Buffer.concat(open.pop() ?? [])
  open.at(-1)?.push(varint(inner.length), inner)
}

function withLength(content: Buffer): Buffer {
  return Buffer.concat([Buffer.from([content.length >> 8, content.length & 0xff]), content])
}

function varint(value: number): Buffer {
  const digits: number[] = []
  for (let rest = value; rest > 0 || digits.length === 0; rest = Math.floor(rest / 128)) {
    digits.push((rest % 128) + (rest > 127 ? 128 : 0))
  }
  return Buffer.from(digits)
}
