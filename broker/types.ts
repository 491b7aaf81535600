// The words that cross rooms. Types only: nothing here runs.
import type { BrokerError } from './errors.ts'

/** What an account may do beyond its own conversations. */
export type Role = 'admin' | 'moderator' | 'user'

/**
 * Who acts: one live object per account and node, shared by all its connections. `epoch` is raised whenever a right of
 * the account changes: a cached decision is good only for the epoch it was made in. Anonymous: account 0, name ''.
 */
export type Principal = Readonly<{
  account: number
  name: string
  role: Role
  plainTopics: 'all' | 'none'
  epoch: number
}>

/**
 * One rule of plain topics: `allow` or `deny`, never both. What it says of its subject must all be so; `client` has `*` for
 * any characters. Filters may hold `%u` and `%c`.
 */
export type TopicRule = Readonly<{
  allow?: TopicAction
  deny?: TopicAction
  user?: readonly string[]
  role?: readonly Role[]
  client?: readonly string[]
  anonymous?: boolean
  topics: readonly string[]
  /** Filters or topics that are compared as they are written. */
  exact?: readonly string[]
}>

export type TopicAction = 'publish' | 'subscribe' | 'both'

/** Who uses plain topics. `clientId` null: not over MQTT. `tokenRules`: what the token of this login restricts it to. */
export type Actor = Readonly<{
  principal: Principal
  clientId: string | null
  tokenRules?: readonly TopicRule[] | undefined
}>

/** One end of a conversation. `name` is the canonical localpart, `address` is `name@domain`. */
export type Party = Readonly<{ id: number; name: string; address: string }>

export type Kind =
  | 'message'
  | 'edit'
  | 'retract'
  | 'moderate'
  | 'react'
  | 'receipt'
  | 'marker'
  | 'typing'
  | 'presence'
  | 'invite'
  | 'subject'
  | 'join'
  | 'leave'
  | 'error'

export type Media = Readonly<{ url: string; type?: string; size?: number; name?: string; sha256?: string }>

/** What a sender may say (DESIGN §4): the part of the envelope that is the client's. Absent fields are absent, never null. */
export type Content = Readonly<{
  text?: string
  lang?: string
  subject?: string
  thread?: string
  reply?: Readonly<{ id: string }>
  ref?: string
  emoji?: readonly string[]
  media?: readonly Media[]
  data?: unknown
  enc?: Readonly<{ scheme: string; xml: string }>
  /** Seconds the message stays worth delivering. */
  ttl?: number
}>

/** What the sender's border accepted, as it is stored: `json` is a Content, `xml` the sanitised children of a <message>. */
export type Body = Readonly<{ format: 'json' | 'xml'; text: string }>

/** A chat message as a border makes it: frozen, not yet admitted. */
export type Message = Readonly<{
  kind: Kind
  from: Party
  /** Device of the sender: MQTT client id or XMPP resource; null for REST. */
  device: string | null
  /** Canonical localpart of the receiver; whether it exists is admission's question. */
  to: string
  /** The full JID's resource that an XMPP sender aimed at, else null. */
  toResource: string | null
  /** Idempotency key that the sender chose as such, else null. */
  oid: string | null
  /** The key is refused when it was used with other content before (REST); else that is a new message. */
  strictOid?: boolean
  /** The XMPP `id` attribute, for references only. */
  xid: string | null
  /** What a receipt or marker of an XMPP client names, by its XMPP id. */
  xref?: string
  content: Content
  body: Body
  /** False: delivered to whom follows now, never stored (XEP-0334 no-store, headline, bodiless). */
  stored: boolean
}>

/** A message after admission. Shared by all receivers; `wires` caches its encodings by a key that the border chooses. */
export type Admitted = Readonly<{
  id: string
  /** Milliseconds since 1970, from the database's clock; never runs backwards within an owner. */
  ts: number
  kind: Kind
  from: Party
  to: Party
  device: string | null
  toResource: string | null
  oid: string | null
  xid: string | null
  content: Content
  /** The XMPP `id` attribute of what a receipt or marker names; null: it has none. */
  refXid?: string | null
  body: Body
  wires: Map<string, Buffer | string>
}>

/** One place in one owner's log. `seq` is 0 for what is never stored. `late`: read from the log, not met live. */
export type LogEntry = Readonly<{ owner: number; seq: number; late: boolean; message: Admitted }>

/** What became of a message. `repeated`: the key was seen before; id and ts are the first one's. */
export type Receipt = Readonly<{ id: string; ts: number; repeated: boolean }>

/**
 * Who waits for a receipt. `settle` is called exactly once per token, at commit (an acknowledgement means durable) or at
 * the refusal, possibly before `admit` returns. It must not throw.
 */
export interface ReceiptSink {
  settle(token: number, outcome: Receipt | BrokerError): void
}

/** The one door for chat: policy, then id, then the batch. */
export interface Admission {
  /**
   * Milliseconds until this account's quota lets it send again; 0: now. A stream over it is read no faster, HTTP answers
   * 429; nothing is refused or lost for it (DESIGN §2).
   */
  delayMs(account: number): number
  /** Counts what is no message but costs others as much: a presence, a change of a roster. */
  spend(account: number): void
  admit(message: Message, sink: ReceiptSink, token: number): void
}

/** Quality of service of MQTT: at most once, at least once, exactly once. */
export type Qos = 0 | 1 | 2

/** A publication on a plain topic as a border makes it that does not speak MQTT; properties by MQTT 5's names. */
export type PlainDraft = Readonly<{
  topic: string
  payload: Buffer
  qos: Qos
  retain: boolean
  properties: Readonly<{
    contentType?: string
    responseTopic?: string
    correlationData?: Buffer
    messageExpiryInterval?: number
    userProperties?: readonly (readonly [string, string])[]
  }>
}>

export interface PlainPublisher {
  /** Policy and bus as for MQTT. Answers a refusal, else settles the receipt when it is durable (QoS 0: token -1, never). */
  publish(actor: Actor, draft: PlainDraft, sink: ReceiptSink, token: number): BrokerError | null
}

/**
 * Which part of an owner's log a follower wants. `chat` is both directions, for borders that sort themselves; `evt` has a
 * log of its own, of receipts and read markers.
 */
export type View = 'msg' | 'sent' | 'text' | 'evt' | 'err' | 'chat'

/** A refusal, or another thing that concerns one account only; live, never stored (`u/{me}/err`). */
export type Notice = Readonly<{ code: string; detail: string; at: number; [more: string]: unknown }>

/** One session of any border that follows logs. Neither function may throw. What is live and finds no room is lost. */
export interface FollowingSession {
  /** Takes one entry in order. False: full; the follower reads on from its cursor after `resume()`. */
  deliver(follower: Follower, entry: LogEntry): boolean
  /** Takes a notice of the account (view `err` only). False: no room. */
  notice(follower: Follower, notice: Notice): boolean
}

/** A session's follower of one view of one owner's log. */
export interface Follower {
  readonly owner: number
  readonly view: View
  /** The last seq that was delivered, or that the view leaves out. */
  readonly cursor: number
  /** The session has room again. */
  resume(): void
  close(): void
}

export interface Followers {
  /** Starts behind `after`. Entries come in order of `seq`, each once, without gaps in the view. */
  follow(session: FollowingSession, owner: number, view: View, after: number): Follower
  /**
   * A chat device of the account has taken what came behind `since` (0: behind the account position) and up to `seq`
   * (DESIGN §5, account position). Written behind.
   */
  acknowledged(account: number, seq: number, since?: number): void
  /** The owner's last seq. */
  head(owner: number): Promise<number>
  /** Where a first chat device begins: behind the account position, at most the newest `limit` received messages. */
  backlogStart(account: number, limit: number): Promise<number>
}

/** A part of one owner's log. */
export type ArchiveRange = Readonly<{
  /** Both exclusive. */
  after: number
  before: number
  /** Only the conversation with this account; null: all. */
  peer: number | null
  /** Of that only what went from or to this resource of the peer; null: all. */
  resource: string | null
  /** Only these; null: all. */
  seqs: readonly number[] | null
}>

/** `order`: from which end it begins. `limit` rows at most, and one at least, whose bodies have `maxBytes` together. */
export type ArchivePageQuery = ArchiveRange &
  Readonly<{ order: 'oldest' | 'newest'; skip: number; limit: number; maxBytes: number }>

/** Searching one owner's log, for borders whose clients page through it. */
export interface Archive {
  /** By message id (a UUID); those that the log does not have are missing. */
  seqsOf(owner: number, ids: readonly string[]): Promise<ReadonlyMap<string, number>>
  /** For each instant, milliseconds since 1970, the first seq that is not earlier; behind the last one when there is none. */
  seqsAt(owner: number, instants: readonly number[]): Promise<readonly number[]>
  count(owner: number, range: ArchiveRange): Promise<number>
  head(owner: number): Promise<number>
  /** Oldest first, whatever the query's order. `hasMore`: in the direction of that. */
  page(owner: number, query: ArchivePageQuery): Promise<Readonly<{ entries: readonly LogEntry[]; hasMore: boolean }>>
  /** The account of this name; null: there is none. */
  lookUp(name: string): Promise<Party | null>
}

/** Accounts that people make and keep themselves. */
export interface Registrar {
  /**
   * `username` in any spelling of its localpart. The account may use no plain topics.
   * `invalid`: no account can have this name or this password. `throttled`: too many came from there.
   */
  create(username: string, password: string, origin: Origin): Promise<'created' | 'taken' | 'invalid' | 'throttled'>
  /** Ends all connections of the account, within a second. False: none can have this password. */
  changePassword(principal: Principal, password: string, origin: Origin): Promise<boolean>
  /** The account goes, with what is its own; a long history by and by. Ends its connections within a second. */
  cancel(principal: Principal, origin: Origin): Promise<void>
}

/** SCRAM verifiers (RFC 5802 §3); a password is never kept. */
export type Verifier = Readonly<{ salt: Buffer; iterations: number; storedKey: Buffer; serverKey: Buffer }>
export type Verifiers = Readonly<{ 'SCRAM-SHA-1': Verifier; 'SCRAM-SHA-256': Verifier }>

export type Border = 'mqtt' | 'xmpp' | 'http' | 'cli'

/** From where someone speaks to us; `address` is an IP address, '' when it is not known. */
export type Origin = Readonly<{ border: Border; address: string }>

/**
 * `session` is the id of the login over HTTP that an access token of ours came from; null: a password, or a token of an
 * issuer. That one's connections end at `expiresAt` (milliseconds since the epoch).
 */
export type Login = Readonly<{
  principal: Principal
  session: string | null
  expiresAt: number | null
  /** What the token says of plain topics, in addition to the rules; absent: nothing. */
  tokenRules?: readonly TopicRule[] | undefined
}>

/** Lifetimes in seconds. A refresh token is good once. */
export type TokenPair = Readonly<{
  accessToken: string
  expiresIn: number
  refreshToken: string
  refreshExpiresIn: number
}>

/** Credentials → Principal, for all borders. Failed logins make the next ones wait (`throttled`). */
export interface Authenticator {
  /** `username` is `local` or `local@domain`, in any spelling. Null: unknown or wrong. @throws BrokerError overload, throttled */
  password(username: string, password: string, origin: Origin): Promise<Principal | null>
  /**
   * The same, where the password may be a token (JWT) of ours or of the configured issuer, which agrees with the user
   * name; '': whoever the token speaks for. @throws BrokerError overload when the issuer's keys cannot be read
   */
  login(username: string, secret: string, origin: Origin): Promise<Login | null>
  /** For SASL SCRAM. An unknown account gets steady false verifiers and no principal, so that it cannot be told apart. */
  verifiers(username: string): Promise<Readonly<{ verifiers: Verifiers; principal: Principal | null }>>
  /** For SCRAM, before each of its steps. @throws BrokerError throttled */
  demandTry(username: string, origin: Origin): void
  /** For SCRAM, what came of it. Null: the proof was wrong. */
  tried(username: string, origin: Origin, principal: Principal | null): void
  /** Begins a login that a refresh token renews. @throws BrokerError unauthenticated when the account is gone */
  openLogin(principal: Principal): Promise<TokenPair>
  /** Null: unknown, expired, ended, or used before; then its whole login is ended. */
  refreshLogin(refreshToken: string, origin: Origin): Promise<TokenPair | null>
  /**
   * Its access tokens and connections end here at once, on other nodes within a second.
   * @throws BrokerError forbidden when an issuer elsewhere made the token
   */
  endLogin(login: Login, origin: Origin): Promise<void>
  /** For what an account left to be done without it. At once when memory has it. Null: there is no such account any more. */
  principal(account: number, name: string): Principal | null | Promise<Principal | null>
  /**
   * A token of ours or of the configured issuer. Null: malformed, forged, expired, its login ended, its account is gone,
   * or has changed its password since a token of ours. @throws BrokerError throttled for a bad one after many; overload
   */
  token(accessToken: string, origin: Origin): Promise<Login | null>
  /**
   * Calls `end` once when connections of this account, or of this login, must close (account changed or removed, logged
   * out, token expired); `isGone`: the account was deleted. Returns undo.
   */
  onEnd(principal: Principal, end: (isGone: boolean) => void, login?: Login): () => void
}

/** A border or another part with a life of its own. `stop` may be called twice; it drains. */
export interface Adapter {
  start(): Promise<readonly Listening[]>
  stop(): Promise<void>
}

/**
 * A listener's real address; `note` tells what else is spoken there, or how the configuration calls it. `port` null:
 * switched off, unless it is a Unix socket with a `path`.
 */
export type Listening = Readonly<{ name: string; bind: string; port: number | null; note?: string; path?: string }>
