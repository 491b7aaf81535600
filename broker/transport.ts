// What a session needs of the connection that it has. Types only.
import type { Publication, Wire } from './publication.ts'
import type { Qos } from './types.ts'

/** The connection that a session has now. */
export interface Transport {
  /** Its output is below the limit. */
  hasRoom(): boolean
  send(publication: Publication, out: Outgoing): void
  /** The bytes that `send` would write; valid until the publication is lent again. */
  encode(publication: Publication, out: Outgoing): Wire
  /** Writes what `encode` gave, some time ago. */
  sendEncoded(wire: Wire, packetId: number, expiresAt: number): void
  /** Writes the PUBREL of a QoS 2 message. */
  release(packetId: number): void
  /** Another connection has taken the session over, or it was ended. */
  close(reason: number): void
}

/** How one copy of a publication goes out. `packetId` is 0 at QoS 0. */
export type Outgoing = Readonly<{
  qos: Qos
  retain: boolean
  dup: boolean
  packetId: number
  subscriptionIds: readonly number[]
}>
