// The features in their order: within a phase, and on offer to a client.
import type { Presence, Rosters } from '../../../broker/contacts.ts'
import type { Logger } from '../../../broker/log.ts'
import type { Authenticator } from '../../../broker/types.ts'
import type { Element } from '../element.ts'
import type { ClientSession, Feature, Interest, Resources, StreamFeature } from '../feature.ts'
import { toMessage } from '../map.ts'
import { sanitise } from '../sanitise.ts'
import { session, sessionOffer } from './rfc3921-session.ts'
import { createBind } from './rfc6120-bind.ts'
import { createSasl } from './rfc6120-sasl.ts'
import { startTls } from './rfc6120-starttls.ts'
import { createDirectedPresence } from './rfc6121-directed-presence.ts'
import { createMessages } from './rfc6121-message.ts'
import { createPresence } from './rfc6121-presence.ts'
import { createRoster, rosterVersioning } from './rfc6121-roster.ts'
import { createSubscription, preApproval } from './rfc6121-subscription.ts'
import { disco } from './xep0030-disco.ts'
import { ping } from './xep0199-ping.ts'
import { delay } from './xep0203-delay.ts'
import { stanzaIds } from './xep0359-stanza-ids.ts'

type Deps = Readonly<{
  authenticator: Authenticator
  /** Prepared. */
  domain: string
  resources: Resources
}>

export function createStreamFeatures({ authenticator, domain, resources }: Deps): readonly StreamFeature[] {
  return [
    startTls,
    createSasl({ authenticator, domain }),
    createBind({ resources }),
    sessionOffer,
    rosterVersioning,
    preApproval,
  ]
}

export type FeatureDeps = Pick<Deps, 'domain' | 'resources'> &
  Readonly<{ rosters: Rosters; presence: Presence; logger: Logger }>

export function createFeatures({ domain, resources, ...deps }: FeatureDeps): readonly Feature[] {
  const interest: Interest = new WeakMap()
  const shared = { ...deps, resources, sanitise: (element: Element) => sanitise(element, domain) }
  return [
    session,
    // What a verb brings about is told in this order (RFC 6121 §3.1.6).
    createSubscription({ ...shared, interest }),
    createRoster({ ...shared, interest }),
    createPresence(shared),
    createDirectedPresence(shared),
    createMessages({
      domain,
      resources,
      toMessage: (stanza, from) => toMessage(stanza, senderOf(from, domain), domain),
    }),
    disco,
    ping,
    delay,
    stanzaIds,
  ]
}

function senderOf({ principal: { account, name }, jid, lang }: ClientSession, domain: string) {
  return { party: { id: account, name, address: `${name}@${domain}` }, resource: jid.resource, lang }
}
