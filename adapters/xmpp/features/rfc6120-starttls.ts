// RFC 6120 §5: STARTTLS Negotiation  https://www.rfc-editor.org/rfc/rfc6120#section-5
import { el } from '../element.ts'
import type { StreamFeature } from '../feature.ts'

const ns = 'urn:ietf:params:xml:ns:xmpp-tls'

/** Required, and nothing that was sent in the clear behind it is ever read (§5.4.3.3). */
export const startTls: StreamFeature = {
  name: 'starttls',
  spec: 'RFC 6120 §5',
  version: '2011-03',
  offer: (stream) => (stream.secure ? undefined : el('starttls', ns, {}, el('required', ns))),
  onElement(stream, element) {
    if (element.ns !== ns || element.name !== 'starttls') return false
    if (stream.secure || stream.hasMore) {
      stream.send(el('failure', ns)) // §5.4.2.2
      stream.fail('policy-violation', 'TLS begins with the next byte, once.')
    } else {
      stream.startTls(el('proceed', ns))
    }
    return true
  },
}
