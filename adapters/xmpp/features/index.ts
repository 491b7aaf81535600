// The features in their order: within a phase, and on offer to a client.
import type { Config } from '../../../broker/config.ts'
import type { Presence, Rosters } from '../../../broker/contacts.ts'
import type { Events } from '../../../broker/happening.ts'
import type { Logger } from '../../../broker/log.ts'
import type { Counters } from '../../../broker/metrics.ts'
import type { Archive, Authenticator, Registrar } from '../../../broker/types.ts'
import type { Element } from '../element.ts'
import type { ClientSession, Feature, Interest, Resources, StreamFeature } from '../feature.ts'
import { type Naming, toMessage } from '../map.ts'
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
import { createRegistration, createRegistrationOffer } from './xep0077-registration.ts'
import { streamManagement } from './xep0198-stream-management.ts'
import { ping } from './xep0199-ping.ts'
import { delay } from './xep0203-delay.ts'
import { carbons } from './xep0280-carbons.ts'
import { createArchive } from './xep0313-archive.ts'
import { stanzaIds } from './xep0359-stanza-ids.ts'

type Deps = Readonly<{
  config: Pick<Config, 'registration'>
  authenticator: Authenticator
  archive: Archive
  registrar: Registrar
  naming: Naming
  /** Prepared. */
  domain: string
  resources: Resources
}>

type StreamDeps = Pick<Deps, 'config' | 'authenticator' | 'registrar' | 'domain' | 'resources'>

export function createStreamFeatures(deps: StreamDeps): readonly StreamFeature[] {
  const { config, authenticator, registrar, domain, resources } = deps
  return [
    startTls,
    createRegistrationOffer({ registrar, isOpen: config.registration === 'open' }),
    createSasl({ authenticator, domain }),
    createBind({ resources }),
    sessionOffer,
    rosterVersioning,
    preApproval,
    streamManagement,
  ]
}

export type FeatureDeps = Pick<Deps, 'archive' | 'registrar' | 'naming' | 'domain' | 'resources'> &
  Readonly<{ rosters: Rosters; presence: Presence; events: Events; counters: Counters; logger: Logger }>

export function createFeatures(deps: FeatureDeps): readonly Feature[] {
  const { archive, registrar, naming, domain, resources, rosters, presence, events, counters, logger } = deps
  const interest: Interest = new WeakMap()
  const shared = {
    rosters,
    presence,
    counters,
    logger,
    resources,
    sanitise: (element: Element) => sanitise(element, domain),
  }
  return [
    createRegistration({ registrar, domain }),
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
    carbons,
    createArchive({ archive, naming, events }),
    disco,
    ping,
    delay,
    stanzaIds,
  ]
}

function senderOf({ principal: { account, name }, jid, lang }: ClientSession, domain: string) {
  return { party: { id: account, name, address: `${name}@${domain}` }, resource: jid.resource, lang }
}
