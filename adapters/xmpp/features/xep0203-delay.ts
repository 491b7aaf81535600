// XEP-0203: Delayed Delivery  https://xmpp.org/extensions/xep-0203.html
import type { Feature } from '../feature.ts'

/** What comes from the log instead of live says since when (`toStanza`); a client's own claims are removed. */
export const delay: Feature = {
  name: 'delay',
  spec: 'XEP-0203',
  version: '2.0',
  setup: (host) => host.advertise('urn:xmpp:delay', 'server'),
}
