// Links to other MQTT brokers, as the configuration says them. Types only.
import type { Qos } from './types.ts'

export type LinkTopic = Readonly<{
  /** Of what stands behind the prefixes, on both sides. */
  filter: string
  direction: 'in' | 'out' | 'both'
  /** The highest that is asked for; default 1. */
  qos?: Qos
  /** Put before the filter here, and there; default none. */
  localPrefix?: string
  remotePrefix?: string
}>

export type LinkConfig = Readonly<{
  /** Names the session here and the topic of its state. */
  name: string
  /** `mqtt://host:port` or `mqtts://host:port`. */
  url: string
  username?: string
  password?: string
  /** Read at every connect; line breaks at its end do not count. */
  passwordFile?: string
  /** PEM file of who may have signed the other side's certificate, instead of the system's list. */
  ca?: string
  /** Default: made of the name and this broker's own id. */
  clientId?: string
  /** Default 5. */
  protocolVersion?: 4 | 5
  /** As whom it acts here; default `admin`. */
  account?: string
  topics: readonly LinkTopic[]
}>
