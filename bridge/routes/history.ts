import { z } from 'zod'
import { toAccountName } from '../../broker/account-name.ts'
import { toEnvelope } from '../../broker/message.ts'
import type { LogEntry, Party } from '../../broker/types.ts'
import type { App } from '../app.ts'
import { type Bearer, principalOf } from '../bearer.ts'
import { ProblemError } from '../problem.ts'

/** Newest first, `seq < before` (null: from the head), the owner's conversation with `peer`. */
export type ReadHistory = (
  owner: number,
  peer: number,
  before: number | null,
  limit: number,
) => Promise<readonly LogEntry[]>

/** Null: no such account. */
export type LookUp = (name: string) => Promise<Party | null>

type Deps = Readonly<{ readHistory: ReadHistory; lookUp: LookUp; bearer: Bearer; domain: string }>

const querystring = z.object({
  with: z.string().min(1),
  limit: z.coerce.number().int().min(1).max(200).default(50),
  cursor: z.string().exactOptional(),
})

/**
 * GET /v1/history: one page of one's own conversation, oldest first within the page. `next` leads to the page before it;
 * null: there is none. A name without an account has an empty history, like one that was never written to.
 */
export function history(app: App, { readHistory, lookUp, bearer, domain }: Deps): void {
  app.get('/v1/history', { onRequest: bearer, schema: { querystring } }, async (request) => {
    const { with: peerName, limit, cursor } = request.query
    const before = cursor === undefined ? null : toSeq(cursor)
    const name = toAccountName(peerName, domain)
    const peer = name === null ? null : await lookUp(name)
    if (!peer) return { items: [], next: null }
    const newestFirst = await readHistory(principalOf(request).account, peer.id, before, limit + 1)
    const page = newestFirst.slice(0, limit).reverse()
    const oldest = newestFirst.length > limit ? page[0] : undefined
    return { items: page.map(toEnvelope), next: oldest ? toCursor(oldest.seq) : null }
  })
}

function toCursor(seq: number): string {
  return Buffer.from(`s${seq}`).toString('base64url')
}

function toSeq(cursor: string): number {
  const digits = /^s([1-9]\d{0,14})$/.exec(Buffer.from(cursor, 'base64url').toString('latin1'))?.[1]
  if (digits !== undefined) return Number(digits)
  const errors = [{ parameter: 'cursor', detail: 'must be the next of an earlier page' }]
  throw new ProblemError('bad-payload', 'Some fields are not as they must be.', { errors })
}
