// The Will: checked at CONNECT and when it is sent. MQTT 5 §3.1.2.5, 3.1.1 §3.1.2.5
import type { Bus } from '../bus.ts'
import { BrokerError } from '../errors.ts'
import type { Policy, Rights } from '../policy.ts'
import { readPresence } from '../presence-payload.ts'
import { ownPublication, type Publication } from '../publication.ts'
import type { Topic } from '../routes.ts'
import type { Session } from '../session.ts'
import type { StoredWill } from '../stores.ts'
import type { TopicTable } from '../topic-table.ts'
import type { Admission, Authenticator, Notice, Party, Principal, Receipt, ReceiptSink } from '../types.ts'
import type { WillPublisher } from '../wills.ts'
import type { Will } from './codec/connect.ts'
import { packetType } from './codec/packet-type.ts'
import { Reader } from './codec/primitives.ts'
import { encodeProperties, type Properties, readPropertyList } from './codec/properties.ts'
import { splitForwarded } from './codec/publish.ts'
import { readDoor } from './door.ts'

export function toStoredWill({ topic, payload, qos, retain, properties }: Will): StoredWill {
  const { willDelayInterval: delay = 0, ...forwarded } = properties
  return { topic, payload, qos, retain, delay, properties: encodeProperties(forwarded) }
}

export type WillDeps = Readonly<{
  topics: TopicTable
  bus: Bus
  admission: Admission
  auth: Pick<Authenticator, 'principal'>
  policy: Policy
  /** The principal of clients without a user name; null: they are refused. */
  anonymous: Principal | null
  party: (id: number, name: string) => Party
  notice: (account: number, notice: Notice) => void
}>

export type MqttWills = WillPublisher &
  Readonly<{
    /** MQTT 5's reason code when whose rights these are may not have this Will; 0 when it may. */
    refusal(rights: Rights, will: Will): number
  }>

export function createMqttWills(deps: WillDeps): MqttWills {
  const { topics, auth, anonymous, party, policy } = deps

  /** What a token restricted its login to counts until the broker is started again. */
  function rightsOf({ clientId, rights }: Session, principal: Principal): Rights {
    return policy.rightsOf({ principal, clientId, tokenRules: rights?.actor.tokenRules })
  }

  function isOwnPresence(name: string, topic: string): boolean {
    const { kind } = topics.named(topic)
    return kind.kind === 'presence' && kind.of === name
  }

  /** Answers a refusal, or null: the sink is settled. */
  function say(session: Session, principal: Principal, will: StoredWill, sink: ReceiptSink): BrokerError | null {
    const topic = topics.named(will.topic)
    if (topic.kind.kind === 'door' && principal.account > 0) {
      const from = party(principal.account, principal.name)
      const end = { from, device: session.clientId, to: topic.kind.to }
      const message = readDoor(will.payload, readWillProperties(will), end)
      if (message instanceof BrokerError) return message
      deps.admission.admit(message, sink, 0)
      return null
    }
    if (isOwnPresence(principal.name, will.topic)) session.device?.end(lastWords(will))
    else if (!rightsOf(session, principal).mayPublish(topic)) return new BrokerError('forbidden')
    else deps.bus.publish(toPublication(topic, will), sink, will.qos === 0 ? -1 : 0)
    if (will.qos === 0 || topic.kind.kind !== 'plain') sink.settle(0, said)
    return null
  }

  function sayAs(principal: Principal, session: Session, will: StoredWill): Promise<void> {
    return new Promise((resolve, reject) => {
      const settle = (outcome: Receipt | BrokerError): void => {
        const isRefused = outcome instanceof BrokerError
        if (isRefused && isPassing(outcome)) reject(outcome)
        else resolve()
        if (isRefused && !isPassing(outcome)) deps.notice(principal.account, refusalOf(will, outcome))
      }
      const refused = say(session, principal, will, { settle: (_token, outcome) => settle(outcome) })
      if (refused !== null) settle(refused)
    })
  }

  return {
    refusal(rights, will) {
      const { principal } = rights.actor
      const topic = topics.named(will.topic)
      if (topic.kind.kind === 'misspelt') return new BrokerError('bad-topic').mqtt
      if (topic.kind.kind === 'door' && principal.account > 0) {
        const from = party(principal.account, principal.name)
        return codeOf(readDoor(will.payload, will.properties, { from, device: null, to: topic.kind.to }))
      }
      if (isOwnPresence(principal.name, will.topic)) return codeOf(readPresence(will.payload))
      return rights.mayPublish(topic) ? 0 : new BrokerError('forbidden').mqtt
    },
    publish(session, will) {
      const { account, accountName } = session
      const principal = account === 0 ? anonymous : auth.principal(account, accountName)
      if (principal instanceof Promise) {
        return principal.then((found) => (found === null ? undefined : sayAs(found, session, will)))
      }
      // The account, or the right to be without one, is gone.
      return principal === null ? Promise.resolve() : sayAs(principal, session, will)
    },
    endsDevice: ({ accountName }, will) => isOwnPresence(accountName, will.topic),
  }
}

function codeOf(read: unknown): number {
  return read instanceof BrokerError ? read.mqtt : 0
}

function isPassing({ code }: BrokerError): boolean {
  return code === 'overload' || code === 'internal'
}

function refusalOf({ topic }: StoredWill, { code, message }: BrokerError): Notice {
  return { code, detail: `The Will was refused. ${message}`, at: Date.now(), topic }
}

function toPublication(topic: Topic, will: StoredWill): Publication {
  const publication = ownPublication(topic, will.payload, will.qos)
  const { encoded, messageExpiryInterval } = splitForwarded(readWillProperties(will))
  publication.properties = encoded
  publication.expiresAt = messageExpiryInterval === null ? 0 : Date.now() + messageExpiryInterval * 1000
  publication.retain = will.retain
  return publication
}

/** For what has no receipt. */
const said: Receipt = { id: '', ts: 0, repeated: false }

function readWillProperties({ properties }: StoredWill): Properties {
  return readPropertyList(new Reader(properties, 0, properties.length), packetType.WILL)
}

/** What a Will on `u/{me}/presence/set` says of the device: it is gone whatever the Will claims, so only its status counts. */
function lastWords({ payload }: StoredWill): string {
  const words = readPresence(payload)
  return words instanceof BrokerError ? '' : words.status
}
