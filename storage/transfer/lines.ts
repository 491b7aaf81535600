// A stream cut into lines, whose parts are taken one at a time or as blocks; it holds one chunk and one line.
import type { Readable } from 'node:stream'

export type Lines = Readonly<{
  /** Without its line break; null: the end. The last line must have one, too. */
  next(): Promise<string | null>
  /** Whole lines up to the line `\.`, which is taken and not given. Ends early when the stream does. */
  untilDot(): AsyncGenerator<Buffer>
}>

const NEWLINE = 0x0a
const DOT = Buffer.from('\\.\n')
const DOT_BEHIND = Buffer.from('\n\\.\n')

export function createLines(input: Readable): Lines {
  const chunks = input[Symbol.asyncIterator]() as AsyncIterator<Buffer>
  let held: Buffer = Buffer.alloc(0)

  /** Reads until there is a line break, without searching again what has been searched. */
  async function fill(): Promise<boolean> {
    const parts = [held]
    while (!parts.at(-1)?.includes(NEWLINE)) {
      const { value, done } = await chunks.next()
      if (done) return false
      parts.push(value)
    }
    held = Buffer.concat(parts)
    return true
  }

  return {
    async next() {
      if (!held.includes(NEWLINE) && !(await fill())) return null
      const end = held.indexOf(NEWLINE)
      const line = held.subarray(0, end).toString()
      held = held.subarray(end + 1)
      return line
    },
    async *untilDot() {
      for (;;) {
        if (!held.includes(NEWLINE) && !(await fill())) return
        const lines = held.subarray(0, held.lastIndexOf(NEWLINE) + 1)
        const dot = lines.subarray(0, DOT.length).equals(DOT) ? 0 : lines.indexOf(DOT_BEHIND) + 1
        const isEnd = dot > 0 || lines.subarray(0, DOT.length).equals(DOT)
        const rows = isEnd ? lines.subarray(0, dot) : lines
        held = held.subarray(isEnd ? dot + DOT.length : lines.length)
        if (rows.length > 0) yield rows
        if (isEnd) return
      }
    },
  }
}
