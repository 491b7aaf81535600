// XEP-0198: Stream Management  https://xmpp.org/extensions/xep-0198.html
import { readCount, smNs, tooManyHandled } from '../acks.ts'
import { type Element, el } from '../element.ts'
import type { ClientStream, StreamFeature } from '../feature.ts'

const stanzasNs = 'urn:ietf:params:xml:ns:xmpp-stanzas'
/** How long a session waits for its client, in seconds. */
const maxSeconds = 300

/** Acknowledgements and resumption. `<r/>` and `<a/>` of a stream that counts are answered where they arrive. */
export const streamManagement: StreamFeature = {
  name: 'stream-management',
  spec: 'XEP-0198',
  version: '1.6',
  offer: (stream) => (stream.principal === null ? undefined : el('sm', smNs)),
  onElement(stream, element) {
    if (element.ns !== smNs || stream.principal === null) return false
    if (element.name === 'enable') enable(stream, element)
    else if (element.name === 'resume') return resume(stream, element)
    else stream.send(failed('unexpected-request'))
    return true
  },
}

/** §3 */
function enable(stream: ClientStream, { attrs }: Element): void {
  const isWanted = attrs.resume === 'true' || attrs.resume === '1'
  const wanted = readCount(attrs.max) ?? 0
  const seconds = wanted === 0 ? maxSeconds : Math.min(wanted, maxSeconds)
  if (stream.session === null) stream.send(failed('unexpected-request'))
  else if (stream.session.acks.isOn) stream.fail('policy-violation', 'Stanzas are counted already.')
  else {
    stream.manage(isWanted ? seconds : null, (previd) =>
      el('enabled', smNs, previd === null ? {} : { id: previd, resume: 'true', max: String(seconds) }),
    )
  }
}

/** §5. Without a session the client may bind a resource instead. */
async function resume(stream: ClientStream, { attrs }: Element): Promise<boolean> {
  const { previd } = attrs
  const h = readCount(attrs.h)
  if (stream.session !== null) stream.send(failed('unexpected-request'))
  else if (previd === undefined || h === null) stream.send(failed('bad-request'))
  else {
    const outcome = await stream.resume(previd, h, (handled) => el('resumed', smNs, { previd, h: String(handled) }))
    if (outcome === 'unknown') stream.send(failed('item-not-found'))
    else if (outcome !== 'resumed') stream.fail(...tooManyHandled(h, outcome.sent))
  }
  return true
}

function failed(condition: string): Element {
  return el('failed', smNs, {}, el(condition, stanzasNs))
}
