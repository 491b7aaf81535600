// RFC 3921 §3: Session Establishment, which RFC 6121 made unnecessary  https://www.rfc-editor.org/rfc/rfc3921#section-3
import { el } from '../element.ts'
import type { Feature, StreamFeature } from '../feature.ts'

const ns = 'urn:ietf:params:xml:ns:xmpp-session'
const declared = { name: 'session', spec: 'RFC 3921 §3', version: '2004-10' }

/** Older clients ask for it and wait; there is nothing to do. */
export const session: Feature = {
  ...declared,
  setup: (host) => host.onIq('set', ns, 'session', () => undefined),
}

/** Optional, so that today's clients save the round trip. */
export const sessionOffer: StreamFeature = {
  ...declared,
  offer: (stream) => (stream.principal === null ? undefined : el('session', ns, {}, el('optional', ns))),
  onElement: () => false,
}
