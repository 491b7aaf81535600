import { z } from 'zod'
import { toAccountName } from '../../broker/account-name.ts'
import type { Events } from '../../broker/happening.ts'
import { word } from '../../broker/message.ts'
import type { AuditStore } from '../../broker/stores.ts'
import type { App } from '../app.ts'
import { type Bearer, demandAdmin, originOf } from '../bearer.ts'
import { fromCursor, linkNext, pageQuery, toCursor } from '../cursor.ts'
import { ProblemError } from '../problem.ts'
import { problems } from '../responses.ts'

type Deps = Readonly<{ audit: Pick<AuditStore, 'read'>; events: Events; bearer: Bearer; domain: string }>

const querystring = pageQuery.extend({
  action: word.max(64).describe('only this, such as `login.failed`').exactOptional(),
  name: z.string().max(4096).describe('only what this account did').exactOptional(),
})
const row = z.object({
  id: z.string(),
  at: z.string(),
  action: z.string(),
  border: z.string(),
  name: z.string().nullable(),
  address: z.string().nullable(),
  target: z.string().nullable(),
  detail: z.record(z.string(), z.union([z.string(), z.number()])),
})
const answer = z.object({ items: z.array(row), next: z.string().nullable() })

/** GET /v1/admin/audit: the audit trail, newest first; rows of the last second may be missing yet. */
export function audit(app: App, { audit: trail, events, bearer, domain }: Deps): void {
  const schema = {
    tags: ['admin'],
    summary: 'Read the audit trail',
    security: bearer.security,
    querystring,
    response: { 200: answer, ...problems(400, 401, 403, 503) },
  }
  app.get('/v1/admin/audit', { ...bearer.hook, schema }, async (request, reply) => {
    const { account, name: reader } = demandAdmin(request)
    const { limit, cursor, action = null, name = null } = request.query
    const query = { before: fromCursor(cursor), limit: limit + 1, action, name: name === null ? null : toName(name) }
    const rows = await trail.read(query)
    events.record({ action: 'audit.read', ...originOf(request), account, name: reader })
    const page = rows.slice(0, limit)
    const last = rows.length > limit ? page.at(-1) : undefined
    const next = last ? toCursor(last.n) : null
    linkNext(request, reply, next)
    return { items: page.map(({ n: _n, account: _account, at, ...rest }) => ({ ...rest, at: toIso(at) })), next }
  })

  function toName(given: string): string {
    const known = toAccountName(given, domain)
    if (known !== null) return known
    const errors = [{ parameter: 'name', detail: `must be a name, or a name and @${domain}` }]
    throw new ProblemError('bad-payload', 'Some fields are not as they must be.', { errors })
  }
}

function toIso(at: number): string {
  return new Date(at).toISOString()
}
