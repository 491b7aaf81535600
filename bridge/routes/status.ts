import { z } from 'zod'
import { toAccountName } from '../../broker/account-name.ts'
import type { Presence } from '../../broker/contacts.ts'
import { BrokerError } from '../../broker/errors.ts'
import type { App } from '../app.ts'
import { type Bearer, principalOf } from '../bearer.ts'
import { problems } from '../responses.ts'

type Deps = Readonly<{ presence: Pick<Presence, 'visible' | 'status'>; bearer: Bearer; domain: string }>

const params = z.object({ user: z.string().min(1).describe('a name, or an address of this domain') })
const answer = z.object({
  show: z.enum(['chat', 'available', 'away', 'xa', 'dnd', 'offline']),
  status: z.string(),
  since: z.iso.datetime().describe('of one who is here: since when it is so').exactOptional(),
  lastSeen: z.iso.datetime().describe('of one who is offline, when that is known').exactOptional(),
})

/**
 * GET /v1/users/{user}/status: the most available device of a contact, or of oneself. 403 for everyone else, whether there
 * is such an account or not.
 */
export function status(app: App, { presence, bearer, domain }: Deps): void {
  const schema = {
    tags: ['chat'],
    summary: 'See whether a contact is here',
    security: bearer.security,
    params,
    response: { 200: answer, ...problems(400, 401, 403, 503) },
  }
  app.get('/v1/users/:user/status', { ...bearer.hook, schema }, async (request) => {
    const { account, name } = principalOf(request)
    const asked = toAccountName(request.params.user, domain)
    const seen = asked && (await presence.visible({ id: account, name, address: `${name}@${domain}` }, asked))
    if (!seen) throw new BrokerError('forbidden', 'The presence of this user is not shown to this account.')
    const { show, status, since } = presence.status(seen.id)
    const at = new Date(since).toISOString()
    return { show, status, ...(since > 0 && (show === 'offline' ? { lastSeen: at } : { since: at })) }
  })
}
