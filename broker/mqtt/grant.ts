// MQTT 5 §3.2.2.3.2, §3.2.2.3.10: how much of the keep alive and the session expiry that a client asks for it gets.
import type { Limits } from '../limits.ts'
import { neverExpires } from '../sessions.ts'
import type { Connect } from './codec/connect.ts'
import type { Properties } from './codec/properties.ts'

export type Granted = Readonly<{
  /** Seconds; 0: none. */
  keepAlive: number
  /** Seconds, or `neverExpires`. */
  expiryInterval: number
  /** For CONNACK: what differs from what was asked for. */
  told: Properties
}>

export function grant(limits: Pick<Limits, 'keepAliveSeconds' | 'sessionExpirySeconds'>, connect: Connect): Granted {
  const { level, properties, cleanStart } = connect
  const asked = level === 5 ? (properties.sessionExpiryInterval ?? 0) : cleanStart ? 0 : neverExpires
  const expiryInterval = Math.min(asked, limits.sessionExpirySeconds)
  // 3.1.1 has no word for another keep alive.
  const keepAlive = level === 5 ? shortest(connect.keepAlive, limits.keepAliveSeconds) : connect.keepAlive
  const told: Properties = {}
  if (keepAlive !== connect.keepAlive) told.serverKeepAlive = keepAlive // [MQTT-3.2.2-21]
  if (expiryInterval !== asked) told.sessionExpiryInterval = expiryInterval // §3.2.2.3.2
  return { keepAlive, expiryInterval, told }
}

/** A keep alive of 0 is endless. */
function shortest(asked: number, limit: number): number {
  const seconds = Math.min(asked || Number.POSITIVE_INFINITY, limit)
  return Number.isFinite(seconds) ? seconds : 0
}
