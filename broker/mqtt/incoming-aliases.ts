// Hot path (bench: mqtt5): the topic aliases that a client has made on its connection. MQTT 5 §3.3.2.3.4
import type { Topic } from '../routes.ts'
import { Malformed, protocolError, reason } from './codec/malformed.ts'

/** As long as the connection [MQTT-3.3.2-7]; 1 to `maximum`, which CONNACK has announced. */
export class IncomingAliases {
  private readonly topics: Topic[] = []
  private readonly maximum: number

  constructor(maximum: number) {
    this.maximum = maximum
  }

  /** @throws Malformed 0x94 above the maximum */
  set(alias: number, topic: Topic): void {
    this.check(alias)
    this.topics[alias] = topic
  }

  /** @throws Malformed 0x94 above the maximum; 0x82 when the client has not said what it stands for */
  get(alias: number): Topic {
    this.check(alias)
    const topic = this.topics[alias]
    if (topic === undefined) throw protocolError('A topic alias stands for nothing') // §3.3.2.3.4
    return topic
  }

  private check(alias: number): void {
    if (alias > this.maximum) throw new Malformed(reason.topicAliasInvalid, 'A topic alias is above the maximum') // [MQTT-3.3.2-9]
  }
}
