import { z } from 'zod'
import { toAccountName } from '../../broker/account-name.ts'
import type { Events } from '../../broker/happening.ts'
import { toEnvelope } from '../../broker/message.ts'
import type { Archive } from '../../broker/types.ts'
import type { App } from '../app.ts'
import { type Bearer, originOf, principalOf } from '../bearer.ts'
import { fromCursor, linkNext, pageQuery, toCursor } from '../cursor.ts'
import { problems } from '../responses.ts'

type Deps = Readonly<{ archive: Pick<Archive, 'page' | 'lookUp'>; events: Events; bearer: Bearer; domain: string }>

/** What a page's messages have together; a longer one ends there, and `next` goes on. */
const maxPageBytes = 512 * 1024
const whole = { after: 0, resource: null, seqs: null, order: 'newest', skip: 0, maxBytes: maxPageBytes } as const

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
 * GET /v1/history: one page of one's own conversation, oldest first within the page. A page may have fewer than `limit`: `next` leads to
 * the page before it; null: there is none. A name without an account has an empty history, like one that was never written to.
 */
export function history(app: App, { archive, events, bearer, domain }: Deps): void {
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
    const range = { ...whole, peer: peer.id, before: before ?? Number.MAX_SAFE_INTEGER, limit }
    const { entries, hasMore } = await archive.page(account, range)
    events.record({ action: 'history.read', ...originOf(request), account, name, target: peer.name })
    const oldest = hasMore ? entries[0] : undefined
    const next = oldest ? toCursor(oldest.seq) : null
    linkNext(request, reply, next)
    return { items: entries.map((entry) => ({ ...toEnvelope(entry) })), next }
  })

  async function find(peerName: string) {
    const name = toAccountName(peerName, domain)
    return name === null ? null : archive.lookUp(name)
  }
}
