// Hot path (bench: mqtt5): which topics have an alias towards one client. MQTT 5 §3.3.2.3.4
import type { Topic } from '../routes.ts'

/** The most that a connection uses, whatever its client allows. */
const mostAliases = 32
/** Topics that were sent once and may come again; beyond it all of them are forgotten. */
const remembered = 128
/** An alias takes three bytes, and its announcement costs them on top. */
const shortestTopic = 8

/** A topic gets an alias when it is sent for the second time. What was not used for a while gives its alias up. */
export class OutgoingAliases {
  private readonly maximum: number
  private readonly numbers = new Map<Topic, number>()
  private readonly topics: Topic[] = []
  private readonly used: boolean[] = []
  private readonly seen = new Set<Topic>()
  /** The last alias that was given or passed over. */
  private hand = 0

  /** `maximum`: what the client's CONNECT allows, at least 1 [MQTT-3.1.2-26]. */
  constructor(maximum: number) {
    this.maximum = Math.min(maximum, mostAliases)
  }

  /** 0: the client knows none for it. */
  known(topic: Topic): number {
    const alias = this.numbers.get(topic) ?? 0
    if (alias > 0) this.used[alias] = true
    return alias
  }

  /** An alias for a topic that has none; 0: not yet. It holds from here on, so the packet with both must go out now. */
  give(topic: Topic): number {
    if (topic.bytes.length < shortestTopic) return 0
    if (!this.seen.has(topic)) {
      if (this.seen.size >= remembered) this.seen.clear()
      this.seen.add(topic)
      return 0
    }
    const alias = (this.hand % this.maximum) + 1
    this.hand = alias
    if (this.used[alias] === true) {
      this.used[alias] = false
      return 0
    }
    const former = this.topics[alias]
    if (former !== undefined) this.numbers.delete(former)
    this.seen.delete(topic)
    this.topics[alias] = topic
    this.used[alias] = true
    this.numbers.set(topic, alias)
    return alias
  }
}
