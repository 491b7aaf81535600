// Bytes that are cut and changed at random, and what the other side says to them.
import type { Duplex } from 'node:stream'
import { setTimeout as pause } from 'node:timers/promises'
import fc from 'fast-check'
import { heard } from './hostile-target.ts'

/** The same runs each time; `FUZZ_SEED` and `FUZZ_FACTOR` ask for others and for more. fast-check tells the seed of a failure. */
export function runs(numRuns: number): Readonly<{ numRuns: number; seed: number; endOnFailure: boolean }> {
  const { FUZZ_SEED = '20260911', FUZZ_FACTOR = '1' } = process.env
  return { numRuns: numRuns * Number(FUZZ_FACTOR), seed: Number(FUZZ_SEED), endOnFailure: Number(FUZZ_FACTOR) > 1 }
}

export const places = fc.array(fc.nat(100_000), { maxLength: 10 })

export function cut(bytes: Buffer, where: readonly number[]): Buffer[] {
  const at = [...new Set(where.map((place) => place % (bytes.length + 1)))].toSorted((a, b) => a - b)
  return [0, ...at].map((start, i) => bytes.subarray(start, at[i] ?? bytes.length))
}

type Change = Readonly<{ at: number; remove: number; insert: Uint8Array }>

export const changes: fc.Arbitrary<readonly Change[]> = fc.array(
  fc.record({ at: fc.nat(100_000), remove: fc.nat(3), insert: fc.uint8Array({ maxLength: 3 }) }),
  { minLength: 1, maxLength: 4 },
)

export function change(bytes: Buffer, list: readonly Change[]): Buffer {
  return list.reduce((before, { at, remove, insert }) => {
    const place = at % (before.length + 1)
    return Buffer.concat([before.subarray(0, place), insert, before.subarray(place + remove)])
  }, bytes)
}

/** For the end of a conversation; what waits for more bytes does not end by itself. */
const patienceMs = 150

/** Says the chunks, each in a turn of its own, and hears what comes until the end. */
export async function say(socket: Duplex, chunks: readonly Buffer[]): Promise<Buffer> {
  const answer = heard(socket)
  for (const chunk of chunks) {
    if (socket.destroyed || !socket.writable) break
    if (chunk.length > 0) socket.write(chunk)
    await new Promise(setImmediate)
  }
  await Promise.race([answer, pause(patienceMs)])
  socket.end()
  return answer
}

/** One of the two goes on where the other ends: who breaks a conversation off may lose its last answers. */
export function isSameStart(one: string, other: string): boolean {
  return one.startsWith(other) || other.startsWith(one)
}
