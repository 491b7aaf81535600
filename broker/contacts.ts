// The words of contacts: rosters and presence, as every border sees them. Types only.
import type { BrokerError } from './errors.ts'
import type { DeletedAccount, Roster, RosterItem } from './stores.ts'
import type { Party } from './types.ts'

/** What one account says to another about seeing presence (RFC 6121 §3). */
export type Verb = 'subscribe' | 'subscribed' | 'unsubscribe' | 'unsubscribed'

/**
 * What a change of a roster brings about, in the order in which clients are to be told:
 * `said`: `to` hears a verb of `from`, with the children of its `<presence>` as XML. `item`: an item of `owner` is new or
 * different; null: it is removed. `stale`: what `owner` has of an address is to be read again. `right`: `viewer` may from now on see the presence of `of`, or no longer.
 */
export type ContactEvent =
  | Readonly<{ what: 'said'; verb: Verb; from: Party; to: Party; request: string }>
  | Readonly<{ what: 'item'; owner: Party; address: string; item: RosterItem | null; version: number }>
  | Readonly<{ what: 'stale'; owner: Party; address: string }>
  | Readonly<{ what: 'right'; viewer: Party; of: Party; granted: boolean }>

/** Rosters of this server's accounts. All changes are durable before anyone is told. */
export interface Rosters {
  read(account: number): Promise<Roster>
  /** Adds or renames (RFC 6121 §2.3, §2.4). `address`: canonical and bare. Null: done. */
  put(owner: Party, address: string, how: Readonly<Pick<RosterItem, 'name' | 'groups'>>): Promise<BrokerError | null>
  /** RFC 6121 §2.5: ends the subscriptions both ways. */
  remove(owner: Party, address: string): Promise<BrokerError | null>
  /** RFC 6121 §3. Whom it reaches, or whether such an account exists, is not told. */
  say(from: Party, verb: Verb, address: string, request: string): Promise<BrokerError | null>
  /** Who may see the account's presence, and the account itself. At once when its roster is at hand. */
  audience(owner: Party): readonly Party[] | Promise<readonly Party[]>
  onEvent(listener: (event: ContactEvent) => void): void
  /** An account was deleted; the store knows already. Its contacts are told, as if it had ended all subscriptions. */
  forget(deleted: DeletedAccount): void
}

/** RFC 6121 §4.7.2.1; `available` is the absent one. */
export type Show = 'chat' | 'available' | 'away' | 'xa' | 'dnd' | 'offline'

/** One device of an account, in one state: every change is a new object, which borders may know by its identity. */
export type Device = Readonly<{
  /** XMPP resource, or the public name of an MQTT device. */
  resource: string
  show: Show
  /** '': none. */
  status: string
  priority: number
  /** Since when it is so, milliseconds since 1970. */
  since: number
}>

/** The most available device of an account; offline with `since` 0 when nobody knows since when. */
export type Status = Readonly<Pick<Device, 'show' | 'status' | 'since'>>

/** Who brings presence to clients. No function may throw. */
export interface PresenceBorder {
  /** A device has come, changed or (`offline`) gone. `audience` are those who may know, its own account among them. */
  device(from: Party, device: Device, audience: readonly Party[]): void
  /** The most available device is another one, or says something else. */
  status(from: Party, status: Status, audience: readonly Party[]): void
  /** `viewer` may from now on see the presence of `of`, or no longer. */
  right(viewer: Party, of: Party, granted: boolean): void
}

/** Who is here, with what. */
export interface Presence {
  /** A device is here, says something new, or (`offline`) has gone. A promise: some are told later. @throws when the store is away */
  set(owner: Party, device: Device): void | Promise<void>
  devices(account: number): readonly Device[]
  status(account: number): Status
  /** The account of this name if `viewer` may see its presence, else null, whether it exists or not. */
  visible(viewer: Party, name: string): Promise<Party | null>
  /** All whose presence the viewer may see, itself not among them. */
  contacts(viewer: Party): Promise<readonly Party[]>
  join(border: PresenceBorder): void
}
