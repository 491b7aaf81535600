// XEP-0280: Message Carbons  https://xmpp.org/extensions/xep-0280.html
import { carbonsNs } from '../copies.ts'
import type { Feature, IqHandler } from '../feature.ts'

/** Switches copies on and off for one resource (§4, §5); which messages are copied is `copies.ts`'s business. */
export const carbons: Feature = {
  name: 'carbons',
  spec: 'XEP-0280',
  version: '1.0.1',
  setup(host) {
    host.advertise(carbonsNs, 'server')
    host.advertise('urn:xmpp:carbons:rules:0', 'server')
    host.onIq('set', carbonsNs, 'enable', turn(true))
    host.onIq('set', carbonsNs, 'disable', turn(false))
  },
}

function turn(isOn: boolean): IqHandler {
  return (_iq, session) => {
    session.wantsCopies = isOn
    return undefined
  }
}
