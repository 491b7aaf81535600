// What settings that are lists with an inside share: schemas of their parts, and how a fault in them is told.
import { z } from 'zod'

/** One, or a list of them. */
export function some<T extends string>(one: z.ZodType<T>): z.ZodType<readonly T[]> {
  const toList = (written: unknown): unknown => (typeof written === 'string' ? [written] : written)
  return z.preprocess(
    toList,
    z.array(one, { error: says('a text or a list of texts') }).min(1, 'expected at least one, found none'),
  )
}

export function text(
  expected: string,
  isGood: (value: string) => boolean = (value) => value !== '',
): z.ZodType<string> {
  return z.string({ error: says(expected) }).refine(isGood, { error: says(expected) })
}

/** Completes a fault of zod's, in the words of the other settings. */
export function says(expected: string): (issue: Readonly<{ input?: unknown }>) => string {
  return ({ input }) => {
    const found = typeof input === 'object' && input !== null ? (Array.isArray(input) ? 'a list' : 'a section') : input
    return `expected ${expected}, found ${found === undefined ? 'none' : JSON.stringify(found)}`
  }
}

export function toSwitch(written: unknown): unknown {
  return written === 'on' ? true : written === 'off' ? false : written
}

export function readJson(written: string): unknown {
  try {
    return JSON.parse(written)
  } catch {
    return written
  }
}
