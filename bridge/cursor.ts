// Pages: a cursor is a place in a list, opaque to the client.
import type { FastifyReply, FastifyRequest } from 'fastify'
import { z } from 'zod'
import { ProblemError } from './problem.ts'

/** The parameters that every list takes. */
export const pageQuery = z.object({
  limit: z.coerce.number().int().min(1).max(200).default(50),
  cursor: z.string().describe('the `next` of an earlier page').exactOptional(),
})

export function toCursor(place: number): string {
  return Buffer.from(`s${place}`).toString('base64url')
}

/** Null: from the beginning. @throws ProblemError for what no page has handed out */
export function fromCursor(cursor: string | undefined): number | null {
  if (cursor === undefined) return null
  const digits = /^s([1-9]\d{0,14})$/.exec(Buffer.from(cursor, 'base64url').toString('latin1'))?.[1]
  if (digits !== undefined) return Number(digits)
  const errors = [{ parameter: 'cursor', detail: 'must be the next of an earlier page' }]
  throw new ProblemError('bad-payload', 'Some fields are not as they must be.', { errors })
}

/** RFC 8288: the same list, further on. */
export function linkNext(request: FastifyRequest, reply: FastifyReply, next: string | null): void {
  if (next === null) return
  const [path = '', query] = request.url.split('?', 2)
  const parameters = new URLSearchParams(query)
  parameters.set('cursor', next)
  reply.header('link', `<${path}?${parameters}>; rel="next"`)
}
