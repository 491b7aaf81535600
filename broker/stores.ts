// The contracts of storage, small and by concern. A room gets only the ones it needs.
import type { ArchivePageQuery, ArchiveRange, Body, Kind, Qos, Role, Verifiers } from './types.ts'

export type Account = Readonly<{
  id: number
  /** Canonical localpart. */
  name: string
  role: Role
  plainTopics: 'all' | 'none'
  verifiers: Verifiers
  /** Counts password changes; tokens name the one they were made under. */
  credentialVersion: number
}>

export interface AccountStore {
  /** Records the change (subject `accounts`) in the same transaction. Null: the name is taken. */
  create(account: Omit<Account, 'id' | 'credentialVersion'>): Promise<Account | null>
  byName(name: string): Promise<Account | null>
  byId(id: number): Promise<Account | null>
  /** Of a deleted account, too: for who reads what it has left with others. */
  idOf(name: string): Promise<number | null>
  /** Raises the credential version and records the change (subject `accounts`) in one transaction. Null: no such account. */
  setVerifiers(name: string, verifiers: Verifiers): Promise<Account | null>
  /** By name, `name > after`. */
  list(after: string, limit: number): Promise<readonly ListedAccount[]>
  /**
   * Its name stays taken, and stays on what others have of it; its own log, sessions, logins and roster go. Records the
   * change (subject `accounts`). False: no such account. May be repeated when it was interrupted.
   */
  remove(name: string): Promise<boolean>
  /** The same, less what takes long: the log is out of reach and goes with `purge`, or by and by. Null: no such account. */
  bury(name: string): Promise<Buried | null>
}

/** `wasThere`: not only as a tombstone. */
export type Buried = Readonly<{ wasThere: boolean; purge(): Promise<void> }>

/** `createdAt`: milliseconds since 1970. */
export type ListedAccount = Pick<Account, 'name' | 'role' | 'plainTopics'> & Readonly<{ createdAt: number }>

/** A chat message on its way into the log. */
export type Appending = Readonly<{
  /** UUIDv7 made by the node. */
  id: string
  kind: Kind
  sender: number
  receiver: number
  device: string | null
  toResource: string | null
  oid: string | null
  /** Refused with BrokerError `key-reused` when its sender used the oid with other content within 7 days. */
  strictOid?: boolean
  /** SHA-256 of receiver + kind + content; null when there is no oid. */
  hash: Buffer | null
  xid: string | null
  ref: string | null
  body: Body
  /** The plain text, for search; null when it has none. */
  text: string | null
  /** Seconds until it is not worth delivering any more; null: never. */
  ttl: number | null
}>

export type Appended = Readonly<{
  /** The message's id; for a repeat the first one's. */
  id: string
  /** Milliseconds since 1970. */
  ts: number
  repeated: boolean
  /** One per owner; empty for a repeat. */
  positions: readonly Readonly<{ owner: number; seq: number }>[]
}>

/** One stored message in one owner's log, with both names joined. */
export type ArchiveRow = Readonly<{
  owner: number
  seq: number
  id: string
  ts: number
  kind: Kind
  sender: number
  senderName: string
  receiver: number
  receiverName: string
  device: string | null
  toResource: string | null
  oid: string | null
  xid: string | null
  body: Body
}>

export interface ArchiveStore {
  /**
   * Appends one batch as one statement (DESIGN §5): repeats answered with the first id, `seq` without holes, `ts` never
   * backwards within an owner. The result has the batch's order; an Error stands for a message that can never be stored,
   * a BrokerError for one that is refused.
   * Safe to repeat with the same ids when the outcome of an earlier try is unknown. @throws TransientStoreError when the
   * whole batch may be repeated as it is
   */
  append(batch: readonly Appending[]): Promise<readonly (Appended | Error)[]>
  /** Oldest first, `seq > after`, at most `limit`. */
  read(owner: number, after: number, limit: number): Promise<readonly ArchiveRow[]>
  /** The owner's last seq; 0 when its log is empty. */
  head(owner: number): Promise<number>
  /** The smallest seq to start behind so that at most `limit` received messages newer than the account position follow. */
  backlogStart(account: number, limit: number): Promise<number>
  /** Raises account positions; lower values than stored are ignored, and so is what leaves a gap behind. */
  savePositions(positions: readonly Taken[]): Promise<void>
}

/** A device has taken what the owner received behind `since` and up to `seq`. */
export type Taken = Readonly<{ owner: number; since: number; seq: number }>

/** Searching one owner's log. */
export interface ArchiveQueryStore {
  /** By message id (a UUID); those that the log does not have are missing. */
  seqsOf(owner: number, ids: readonly string[]): Promise<ReadonlyMap<string, number>>
  /** For each instant, milliseconds since 1970, the first seq that is not earlier; behind the last one when there is none. */
  seqsAt(owner: number, instants: readonly number[]): Promise<readonly number[]>
  /** In the query's order. `hasMore`: in that direction. */
  page(owner: number, query: ArchivePageQuery): Promise<Readonly<{ rows: readonly ArchiveRow[]; hasMore: boolean }>>
  count(owner: number, range: ArchiveRange): Promise<number>
}

/** A receipt or a read marker on its way. */
export type Raising = Readonly<{
  /** Chosen by the node, increasing; its place in the stream `evt` of all who are told. */
  n: number
  /** UUIDv7 made by the node. */
  id: string
  kind: 'receipt' | 'marker'
  /** Who has got or read all up to the message, and who sent it. */
  account: number
  peer: number
  /** The message by its id, or as XMPP names it. */
  ref: Readonly<{ id: string }> | Readonly<{ xid: string }>
}>

/** `owners`: who is told; none when a newer one was there. */
export type Raised = Readonly<{ message: string; xid: string | null; at: number; owners: readonly number[] }>

/** The newest receipt or marker of one conversation, as one owner sees it. `account` is the owner or the peer. */
export type WatermarkRow = Readonly<{
  owner: number
  ownerName: string
  peer: number
  peerName: string
  n: number
  id: string
  kind: Raising['kind']
  account: number
  message: string
  xid: string | null
  at: number
}>

export interface WatermarkStore {
  /**
   * The newest wins. In the batch's order; null: the peer has sent no such message to the account. Safe to repeat with the
   * same ids when the outcome is unknown. @throws TransientStoreError
   */
  raise(batch: readonly Raising[]): Promise<readonly (Raised | null)[]>
  /** By n, `n > after`. */
  read(owner: number, after: number, limit: number): Promise<readonly WatermarkRow[]>
  /** The highest n ever used. */
  lastPosition(): Promise<number>
}

export type StoredSubscription = Readonly<{
  filter: string
  qos: Qos
  noLocal: boolean
  retainAsPublished: boolean
  /** 0: none. */
  subscriptionId: number
  /** For a stream: acknowledged up to this seq of the owner's log; null for a plain filter. */
  position: number | null
}>

/** A Will as CONNECT gave it (MQTT 5 §3.1.3.2). */
export type StoredWill = Readonly<{
  topic: string
  payload: Buffer
  qos: Qos
  retain: boolean
  /** Seconds that it waits for the client to come back. */
  delay: number
  /** Its other properties of MQTT 5, encoded; empty for none. */
  properties: Buffer
}>

export type StoredSession = Readonly<{
  id: number
  epoch: number
  /** 0 for anonymous. */
  account: number
  accountName: string
  clientId: string
  /** Seconds; 0xFFFFFFFF never ends. */
  expiryInterval: number
  /** When the client left, milliseconds since 1970; null while it was online. */
  disconnectedAt: number | null
  /** All queue positions up to here are acknowledged. */
  head: number
  /** Positions up to here may have been sent. */
  sent: number
  /** Positions up to here that are not in flight are acknowledged. */
  cursor: number
  /** In the order of sending. */
  inFlight: readonly InFlightPosition[]
  /** Entries of the account's log up to this seq may have been sent. */
  streamSent: number
  /** Of `evt` all up to here is acknowledged. */
  eventPosition: number
  /** References behind the head, and their payload bytes. */
  queued: number
  queuedBytes: number
  /** Highest queue position that it has; 0 for none. */
  tail: number
  /** Not sent yet; null: none. */
  will: StoredWill | null
  subscriptions: readonly StoredSubscription[]
  /** Packet ids of QoS 2 publishes that it took and that are not released. */
  received: readonly number[]
}>

/** A queue position that was sent and is not acknowledged. */
export type InFlightPosition = readonly [position: number, packetId: number]

/** Persistent sessions of MQTT (expiry > 0). `epoch` fences: a write with an older epoch changes nothing and answers false. */
export interface SessionStore {
  all(): Promise<readonly StoredSession[]>
  /** Creates the session or takes it over: the epoch is raised. `clean`: what it had is removed first, else the Will only. */
  open(opening: SessionOpening): Promise<Readonly<{ id: number; epoch: number }>>
  subscribe(id: number, epoch: number, subscriptions: readonly StoredSubscription[]): Promise<boolean>
  unsubscribe(id: number, epoch: number, filters: readonly string[]): Promise<boolean>
  /**
   * Written behind, many sessions at once: heads, stream positions by filter, expiry, when they left. Answers those that
   * were written.
   */
  save(states: readonly SessionState[]): Promise<readonly number[]>
  /** They were sent, or taken back. A Will of another epoch stays. */
  removeWills(owners: readonly Readonly<{ id: number; epoch: number }>[]): Promise<void>
  /** With its subscriptions, its Will, its queue and what it received. */
  remove(ids: readonly number[]): Promise<void>
}

export type SessionOpening = Readonly<{
  account: number
  clientId: string
  expiryInterval: number
  clean: boolean
  will: StoredWill | null
}>

export type SessionState = Readonly<{
  id: number
  epoch: number
  head: number
  sent: number
  cursor: number
  inFlight: readonly InFlightPosition[]
  streamSent: number
  eventPosition: number
  expiryInterval: number
  disconnectedAt: number | null
  positions: ReadonlyMap<string, number>
}>

/** A plain publication queued for persistent sessions: the body once, a reference per session. */
export type Queueing = Readonly<{
  /** Chosen by the node, increasing; also the position of its references. */
  position: number
  topic: string
  payload: Buffer
  /** MQTT 5 properties that travel with a publication, encoded; empty for none. */
  properties: Buffer
  /** Milliseconds since 1970; null: never. */
  expiresAt: number | null
  references: readonly QueueReference[]
}>

export type QueueReference = Readonly<{
  session: number
  qos: 1 | 2
  retain: boolean
  subscriptionIds: readonly number[]
  /** The shared subscription that the session was chosen for; then it is the only one. Empty: none. */
  share: string
}>

/** A reference, with its body, goes to another session. */
export type Move = Readonly<{
  session: number
  position: number
  to: Pick<QueueReference, 'session' | 'qos' | 'subscriptionIds'> & Readonly<{ position: number }>
}>

/** A QoS 2 publish that a session took, under its client's packet id: a repeat is not published again. */
export type ReceivedPacket = Readonly<{ session: number; packetId: number }>

/** What batches keep of QoS 2 beside messages (decision 0010). A packet id is in one of the first two at most. */
export type Handshakes = Readonly<{
  received: readonly ReceivedPacket[]
  /** PUBREL has come. */
  forgotten: readonly ReceivedPacket[]
  /** References whose message the client has (PUBREC). */
  released: readonly Readonly<{ session: number; position: number }>[]
  /** Of shared subscriptions (decision 0015). A reference that is gone stays so. */
  moved: readonly Move[]
}>

export type Queued = Readonly<{
  position: number
  topic: string
  payload: Buffer
  properties: Buffer
  expiresAt: number | null
  qos: 1 | 2
  /** QoS 2: the client has it; PUBREL is to be sent. */
  released: boolean
  retain: boolean
  subscriptionIds: readonly number[]
  share: string
}>

export type Retained = Readonly<{
  topic: string
  payload: Buffer
  properties: Buffer
  qos: Qos
  expiresAt: number | null
}>

/** Plain topics: queues of persistent sessions and retained messages. */
export interface QueueStore {
  /**
   * One transaction: bodies, references, retained (an empty payload removes), handshakes. May be repeated when the outcome
   * is unknown.
   */
  append(queue: readonly Queueing[], retained: readonly Retained[], handshakes?: Handshakes | null): Promise<void>
  /** By position, `position > after`. */
  read(session: number, after: number, limit: number): Promise<readonly Queued[]>
  /** The same of these shared subscriptions only. */
  readShared(session: number, after: number, limit: number, filters: readonly string[]): Promise<readonly Queued[]>
  /** Removes references up to the head, and bodies that nobody refers to any more. */
  acknowledge(heads: ReadonlyMap<number, number>): Promise<void>
  /**
   * Drops the oldest references so that `keep` are left; answers the new head and how many went. QoS 2 that may be in
   * flight stays: what is released, and the oldest `inFlight` of what is not.
   */
  trim(
    session: number,
    keep: number,
    inFlight: number,
  ): Promise<Readonly<{ head: number; dropped: number; droppedBytes: number }>>
  /** The highest position that a queue or a session knows. */
  lastPosition(): Promise<number>
  retained(): Promise<readonly Retained[]>
}

/** `session`: the login that was ended, with `logout`. */
export type Change = Readonly<{
  n: number
  detail: Readonly<{
    account: number
    what: 'password' | 'created' | 'logout' | 'deleted'
    session?: string
    /** With `deleted`. */
    name?: string
    contacts?: readonly FormerContact[]
  }>
}>

/** Who had a deleted account in its roster, and how. */
export type FormerContact = Readonly<{ id: number; name: string; subscription: RosterItem['subscription'] }>

export type DeletedAccount = Readonly<{ account: number; name: string; contacts: readonly FormerContact[] }>

/** Numbered change rows per subject: what other processes did (DESIGN §6). */
export interface ChangeStore {
  last(subject: 'accounts'): Promise<number>
  since(subject: 'accounts', n: number): Promise<readonly Change[]>
}

/** A login over HTTP. `session` is its id (a UUID). */
export type StoredLogin = Readonly<{ session: string; account: number; name: string; credentialVersion: number }>

/** Logins with refresh tokens, of which only hashes are kept. A login ends with the password it was made under. */
export interface RefreshTokenStore {
  open(login: Omit<StoredLogin, 'name'>, hash: Buffer, lifetimeSeconds: number): Promise<void>
  /**
   * Puts `nextHash` in the place of `hash`. `reused`: the login lives, but under another hash, so the token was used
   * before; the login is ended. Null: no such login, or it is over.
   */
  rotate(
    session: string,
    hash: Buffer,
    nextHash: Buffer,
    lifetimeSeconds: number,
  ): Promise<Readonly<{ login: StoredLogin; reused: boolean }> | null>
  /** Records the change (subject `accounts`) in the same transaction. */
  end(session: string): Promise<void>
  endedWithin(seconds: number): Promise<readonly string[]>
  /** Removes logins that are long over. */
  prune(): Promise<void>
}

export type AuditRow = Readonly<{
  /** UUID made by the node. */
  id: string
  /** Milliseconds since 1970. */
  at: number
  action: string
  border: string
  account: number | null
  name: string | null
  address: string | null
  target: string | null
  detail: Readonly<Record<string, string | number>>
}>

/** `n` is the order in which rows were written. */
export type StoredAuditRow = AuditRow & Readonly<{ n: number }>

export interface AuditStore {
  /** Rows that were written before are left out, so it may be repeated. */
  append(rows: readonly AuditRow[]): Promise<void>
  /** Newest first, `n < before` (null: from the newest), only those that match what is not null. */
  read(
    query: Readonly<{ before: number | null; limit: number; action: string | null; name: string | null }>,
  ): Promise<readonly StoredAuditRow[]>
  /** Removes rows from before this instant, milliseconds since 1970. */
  prune(before: number): Promise<void>
}

/** One contact of an account, and how far either may see the other's presence (RFC 6121 §2.1). */
export type RosterItem = Readonly<{
  /** Canonical bare address. */
  address: string
  /** The contact's account; null: none of this server. */
  contact: number | null
  /** '': none. */
  name: string
  groups: readonly string[]
  subscription: 'none' | 'to' | 'from' | 'both'
  /** The owner has asked, and waits for the answer ("pending out"). */
  ask: boolean
  /** The contact asks ("pending in"): children of its `<presence>` as XML. Null: it does not. */
  request: string | null
  /** A request of the contact is granted without asking. */
  approved: boolean
  /** False: only known for the contact's request; no client is shown it. */
  listed: boolean
}>

/** `version` is raised by every change of an item. */
export type Roster = Readonly<{ version: number; items: readonly RosterItem[] }>

/** One end of a subscription: the owner of the item, and whom the item is about. */
export type RosterEnd = Readonly<{ owner: number; address: string; contact: number | null }>

/** Both ends of a subscription. Null: there is no item, or no account at that end. */
export type RosterPair = Readonly<{ own: RosterItem | null; theirs: RosterItem | null }>

export type RosterChanged = Readonly<{
  before: RosterPair
  after: RosterPair
  /** Of the rosters afterwards; `theirs` is 0 when there is no account at that end. */
  versions: Readonly<{ own: number; theirs: number }>
}>

/** Contacts. Changes of one roster wait for each other, whoever makes them. */
export interface RosterStore {
  /** Items in the order of their addresses. */
  read(owner: number): Promise<Roster>
  /**
   * Both ends in one transaction. `decide` sees what is stored and answers what is to be stored, null for no item; an item
   * that it answers as it was is not written. It must be pure.
   */
  change(own: RosterEnd, theirs: RosterEnd | null, decide: (pair: RosterPair) => RosterPair): Promise<RosterChanged>
}

/** Random keys of this installation, made once and kept. */
export interface SecretStore {
  getOrCreate(name: string, bytes: number): Promise<Buffer>
}

export interface Store {
  readonly accounts: AccountStore
  readonly archive: ArchiveStore
  readonly archiveQueries: ArchiveQueryStore
  readonly sessions: SessionStore
  readonly watermarks: WatermarkStore
  readonly queues: QueueStore
  readonly rosters: RosterStore
  readonly changes: ChangeStore
  readonly secrets: SecretStore
  readonly refreshTokens: RefreshTokenStore
  readonly audit: AuditStore
  /** Removes what nobody will ask for: keys and changes after 7 days, retained messages that have expired. */
  prune(): Promise<void>
  /** Rejects when the database does not answer in time. */
  ping(): Promise<void>
  close(): Promise<void>
}

/** The database is away or asks to try again; the same call may be repeated as it is. */
export class TransientStoreError extends Error {}
