// The Will: checked at CONNECT and when it is sent. MQTT 5 §3.1.2.5, 3.1.1 §3.1.2.5
import { BrokerError } from '../errors.ts'
import { draftMessage, readDoorPayload } from '../message.ts'
import { mayPublishPlain } from '../policy.ts'
import { readPresence } from '../presence-payload.ts'
import { ownPublication } from '../publication.ts'
import type { Principal, ReceiptSink } from '../types.ts'
import type { Accepted } from './accept.ts'
import type { Will } from './codec/connect.ts'
import { splitForwarded } from './codec/publish.ts'
import type { Host } from './host.ts'

/** Nobody waits for a Will's receipt. */
const nobody: ReceiptSink = { settle: () => undefined }

/** MQTT 5's reason code when this principal may not have this Will; 0 when it may. */
export function willRefusal(host: Host, principal: Principal, will: Will): number {
  if (will.qos === 2) return 0x9b // [MQTT-3.2.2-12]
  const topic = host.topics.named(will.topic)
  if (topic.kind.kind === 'misspelt') return 0x90
  if (topic.kind.kind === 'door' && principal.account > 0) {
    const draft = readDoorPayload(will.payload, will.properties.contentType ?? null)
    return draft instanceof BrokerError ? draft.mqtt : 0
  }
  if (topic.kind.kind === 'presence' && topic.kind.of === principal.name) {
    const said = readPresence(will.payload)
    return said instanceof BrokerError ? said.mqtt : 0
  }
  return mayPublishPlain(principal, topic) ? 0 : 0x87
}

/** What a Will on `u/{me}/presence/set` says of the device: it is gone whatever the Will claims, so only its status counts. */
export function lastWords(host: Host, { principal, will }: Accepted): string {
  if (will === null) return ''
  const { kind } = host.topics.named(will.topic)
  if (kind.kind !== 'presence' || kind.of !== principal.name) return ''
  const said = readPresence(will.payload)
  return said instanceof BrokerError ? '' : said.status
}

/** Publishes the Will; on a door it is a chat message. */
export function sendWill(host: Host, { principal, session }: Accepted, will: Will): void {
  if (willRefusal(host, principal, will) !== 0) return
  const topic = host.topics.named(will.topic)
  if (topic.kind.kind === 'presence') return // The end of the device says it.
  if (topic.kind.kind === 'door') {
    const draft = readDoorPayload(will.payload, will.properties.contentType ?? null)
    if (draft instanceof BrokerError) return
    const from = host.party(principal.account, principal.name)
    host.admission.admit(draftMessage(draft, { from, device: session.clientId, to: topic.kind.to }), nobody, 0)
    return
  }
  const publication = ownPublication(topic, will.payload, will.qos === 0 ? 0 : 1)
  const { willDelayInterval: _sentAtOnce, ...properties } = will.properties
  const { encoded, messageExpiryInterval } = splitForwarded(properties)
  publication.properties = encoded
  publication.expiresAt = messageExpiryInterval === null ? 0 : Date.now() + messageExpiryInterval * 1000
  publication.retain = will.retain
  host.bus.publish(publication, nobody, will.qos === 0 ? -1 : 0)
}
