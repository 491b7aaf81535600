// RFC 6121 §2: Managing the Roster  https://www.rfc-editor.org/rfc/rfc6121#section-2
import { el } from '../element.ts'
import type { Feature } from '../feature.ts'
import { stanzaError } from '../stanza.ts'

const ns = 'jabber:iq:roster'

/** Nobody has contacts yet: the roster is empty, and nothing can be added. */
export const roster: Feature = {
  name: 'roster',
  spec: 'RFC 6121 §2',
  version: '2011-03',
  setup(host) {
    host.onIq('get', ns, 'query', (_iq, _session, target) =>
      target === 'account' ? el('query', ns) : stanzaError('service-unavailable'),
    )
    host.onIq('set', ns, 'query', () => stanzaError('feature-not-implemented'))
  },
}
