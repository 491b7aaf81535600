// XEP-0199: XMPP Ping  https://xmpp.org/extensions/xep-0199.html
import type { Feature } from '../feature.ts'

const ns = 'urn:xmpp:ping'

/** Answers with an empty result (§4.2), which also tells that all messages before it are durable. */
export const ping: Feature = {
  name: 'ping',
  spec: 'XEP-0199',
  version: '2.0.1',
  setup(host) {
    host.advertise(ns, 'server')
    host.advertise(ns, 'account')
    host.onIq('get', ns, 'ping', () => undefined)
  },
}
