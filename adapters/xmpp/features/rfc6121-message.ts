// RFC 6121 §5 and §8.5: Exchanging Messages  https://www.rfc-editor.org/rfc/rfc6121#section-5
import type { Message } from '../../../broker/types.ts'
import type { ClientSession, Feature, Resources, StanzaAnswer } from '../feature.ts'
import { type Stanza, stanzaError } from '../stanza.ts'

type Deps = Readonly<{
  /** Prepared. */
  domain: string
  resources: Resources
  /** Null: nothing is left to say. */
  toMessage(stanza: Stanza, session: ClientSession): Message | null
}>

/** One to one, to an account or to one of its devices. Who receives it is the log's business. */
export function createMessages({ domain, resources, toMessage }: Deps): Feature {
  function check(stanza: Stanza): StanzaAnswer {
    if (stanza.to !== null && stanza.to.domain !== domain) return stanzaError('remote-server-not-found')
    // §8.5.2.2.1: an account is no room, and this server takes no messages for itself.
    if (stanza.to?.local === '' || stanza.type === 'groupchat') return stanzaError('service-unavailable')
    return undefined
  }

  /** §8.5.3.2.1: an error goes back to the device whose message it answers, or nowhere. */
  function forwardError({ to, element }: Stanza, session: ClientSession): StanzaAnswer {
    const receiver = to === null ? undefined : resources.find(to.local, to.resource)
    receiver?.offer({ ...element, attrs: { ...element.attrs, from: session.address } })
    return 'done'
  }

  function deliver(stanza: Stanza, session: ClientSession): StanzaAnswer {
    if (stanza.type === 'error') return forwardError(stanza, session)
    const message = toMessage(stanza, session)
    if (message !== null) session.admit(message, stanza)
    return 'done'
  }

  return {
    name: 'message',
    spec: 'RFC 6121 §5',
    version: '2011-03',
    setup(host) {
      host.onMessage('check', check)
      host.onMessage('deliver', deliver)
    },
  }
}
