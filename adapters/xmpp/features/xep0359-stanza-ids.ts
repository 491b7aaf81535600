// XEP-0359: Unique and Stable Stanza IDs  https://xmpp.org/extensions/xep-0359.html
import type { Feature } from '../feature.ts'

/** Every stored message carries its id by its receiver (`toStanza`); `origin-id` is the key against repeats (`toMessage`). */
export const stanzaIds: Feature = {
  name: 'stanza-ids',
  spec: 'XEP-0359',
  version: '0.7.0',
  setup: (host) => host.advertise('urn:xmpp:sid:0', 'account'), // §5
}
