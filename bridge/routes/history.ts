import { z } from 'zod'
import { toAccountName } from '../../broker/account-name.ts'
import type { Events } from '../../broker/happening.ts'
import { toEnvelope } from '../../broker/message.ts'
import type { LogEntry, Party } from '../../broker/types.ts'
import type { App } from '../app.ts'
import { type Bearer, originOf, principalOf } from '../bearer.ts'
import { fromCursor, linkNext, pageQuery, toCursor } from '../cursor.ts'
import { problems } from '../responses.ts'

/** Newest first, `seq < before` (null: from the head), the owner's conversation with `peer`. */
export type ReadHistory = (
  owner: number,
  peer: number,
  before: number | null,
  limit: number,
) => Promise<readonly LogEntry[]>

/** Null: no such account. */
export type LookUp = (name: string) => Promise<Party | null>

type Deps = Readonly<{ readHistory: ReadHistory; lookUp: LookUp; events: Events; bearer: Bearer; domain: string }>

const querystring = pageQuery.extend({ with: z.string().min(1).describe('a name, or an address of this domain') })
// What others sent by other protocols may have more fields.
const envelope = z.looseObject({
  v: z.literal(1),
  kind: z.string(),
  id: z.string(),
  seq: z.string().exactOptional(),
  from: z.string(),
  to: z.string(),
  ts: z.string(),
  text: z.string().exactOptional(),
})
const answer = z.object({ items: z.array(envelope), next: z.string().nullable() })

/**
 * GET /v1/history: one page of one's own conversation, oldest first within the page. `next` leads to the page before it;
 * null: there is none. A name without an account has an empty history, like one that was never written to.
 */
export function history(app: App, { readHistory, lookUp, events, bearer, domain }: Deps): void {
  const schema = {
    tags: ['chat'],
    summary: 'Read a conversation',
    security: bearer.security,
    querystring,
    response: { 200: answer, ...problems(400, 401, 503) },
  }
  app.get('/v1/history', { ...bearer.hook, schema }, async (request, reply) => {
    const { with: peerName, limit, cursor } = request.query
    const before = fromCursor(cursor)
    const peer = await find(peerName)
    if (!peer) return { items: [], next: null }
    const { account, name } = principalOf(request)
    const newestFirst = await readHistory(account, peer.id, before, limit + 1)
    events.record({ action: 'history.read', ...originOf(request), account, name, target: peer.name })
    const page = newestFirst.slice(0, limit).reverse()
    const oldest = newestFirst.length > limit ? page[0] : undefined
    const next = oldest ? toCursor(oldest.seq) : null
    linkNext(request, reply, next)
    return { items: page.map((entry) => ({ ...toEnvelope(entry) })), next }
  })

  async function find(peerName: string): Promise<Party | null> {
    const name = toAccountName(peerName, domain)
    return name === null ? null : lookUp(name)
  }
}
