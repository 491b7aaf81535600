// Publishing on plain topics for borders that do not speak MQTT.
import type { Bus } from '../bus.ts'
import { BrokerError } from '../errors.ts'
import type { Policy } from '../policy.ts'
import { ownPublication } from '../publication.ts'
import type { Topic } from '../routes.ts'
import type { TopicTable } from '../topic-table.ts'
import type { PlainPublisher } from '../types.ts'
import { Malformed } from './codec/malformed.ts'
import { splitForwarded } from './codec/publish.ts'

type Deps = Readonly<{ topics: TopicTable; bus: Bus; policy: Policy; maxPayloadBytes: number }>

export function createPlainPublisher({ topics, bus, policy, maxPayloadBytes }: Deps): PlainPublisher {
  /** Null: not a topic name. */
  function find(name: string): Topic | null {
    const bytes = Buffer.from(name)
    if (bytes.length > 0xffff) return null
    try {
      return topics.find(bytes, 0, bytes.length)
    } catch (fault) {
      if (fault instanceof Malformed) return null
      throw fault
    }
  }

  return {
    publish(actor, { topic: name, payload, qos, retain, properties }, sink, token) {
      const topic = find(name)
      if (topic === null || topic.kind.kind === 'misspelt') return new BrokerError('bad-topic')
      if (!policy.rightsOf(actor).mayPublish(topic)) return new BrokerError('forbidden')
      if (payload.length > maxPayloadBytes) return new BrokerError('too-large')
      const { userProperties, ...rest } = properties
      const pairs = userProperties?.map(([key, value]): [string, string] => [key, value])
      const { encoded, messageExpiryInterval } = splitForwarded({ ...rest, ...(pairs && { userProperties: pairs }) })
      const publication = ownPublication(topic, payload, qos)
      publication.retain = retain
      publication.properties = encoded
      publication.expiresAt = messageExpiryInterval === null ? 0 : Date.now() + messageExpiryInterval * 1000
      bus.publish(publication, sink, token)
      return null
    },
  }
}
