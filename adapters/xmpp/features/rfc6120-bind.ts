// RFC 6120 §7: Resource Binding  https://www.rfc-editor.org/rfc/rfc6120#section-7
import { randomBytes } from 'node:crypto'
import { toResource } from '../../../broker/account-name.ts'
import { childOf, childText, clientNs, type Element, el } from '../element.ts'
import type { ClientStream, Resources, StreamFeature } from '../feature.ts'
import { isDeviceResource } from '../jid.ts'
import { errorOf, type StanzaError, stanzaError } from '../stanza.ts'

const ns = 'urn:ietf:params:xml:ns:xmpp-bind'
const maxResources = 100

type Deps = Readonly<{ resources: Resources }>

/** An older stream with the same resource goes, with `conflict` (§7.7.2.2): the client that is back knows best. */
export function createBind({ resources }: Deps): StreamFeature {
  function bind(stream: ClientStream, iq: Element, request: Element): Element {
    const wanted = childText(request, 'resource') ?? ''
    const resource = wanted === '' ? randomBytes(9).toString('base64url') : toResource(wanted)
    const wrong = whyNot(stream, iq, resource)
    if (wrong !== null || resource === null)
      return errorOf(iq, undefined, wrong ?? stanzaError('bad-request', 'modify'))
    const session = stream.bind(resource)
    const jid = el('jid', ns, {}, session.address)
    return el('iq', clientNs, { type: 'result', id: iq.attrs.id, to: session.address }, el('bind', ns, {}, jid))
  }

  function whyNot(stream: ClientStream, iq: Element, resource: string | null): StanzaError | null {
    if (resource === null || iq.attrs.id === undefined) return stanzaError('bad-request', 'modify')
    if (isDeviceResource(resource)) return stanzaError('conflict') // These belong to MQTT devices (DESIGN §3).
    const name = stream.principal?.name ?? ''
    const isNew = resources.find(name, resource) === undefined
    return isNew && resources.of(name).length >= maxResources ? stanzaError('resource-constraint', 'wait') : null
  }

  return {
    name: 'bind',
    spec: 'RFC 6120 §7',
    version: '2011-03',
    offer: (stream) => (stream.principal === null ? undefined : el('bind', ns)),
    onElement(stream, element) {
      const request = childOf(element, 'bind', ns)
      const isBind = element.name === 'iq' && element.ns === clientNs && element.attrs.type === 'set'
      if (!isBind || request === undefined || stream.principal === null || stream.session !== null) return false
      stream.send(bind(stream, element, request))
      return true
    },
  }
}
