// What belongs to a session: who it is, and what a border makes for it. Types only.
import type { BrokerError } from './errors.ts'

export type SessionIdentity = Readonly<{
  account: number
  accountName: string
  clientId: string
  id: number
  epoch: number
  /** Seconds; 0xFFFFFFFF never ends. */
  expiryInterval: number
}>

/** The streams that a session follows; they outlive its connections. */
export interface StreamState {
  has(filter: string): boolean
  remove(filter: string): void
  readonly count: number
  /** The session is online: they deliver. */
  open(): void
  close(): void
  /** There is room again. */
  resume(): void
  /** Entries of the log up to this seq may have been sent. */
  readonly sent: number
  /** Of `evt` all up to here is acknowledged. */
  readonly eventPosition: number
  /** Acknowledged up to this seq, by filter. */
  positions(): ReadonlyMap<string, number>
}

/** How contacts see the client of a session; it outlives a connection whose Will is held back. */
export interface SessionDevice {
  /** What it follows may have changed. */
  settle(): void
  /** What was published to `u/{me}/presence/set`. */
  say(payload: Buffer): BrokerError | null
  /** It is gone for good; `status` are its last words. */
  end(status: string): void
}
