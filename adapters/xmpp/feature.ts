// What a protocol feature is, and the small host that it registers with. A feature knows this file and no neighbour.
import type { Login, Message, Principal } from '../../broker/types.ts'
import type { Element } from './element.ts'
import type { Jid } from './jid.ts'
import type { Stanza, StanzaError } from './stanza.ts'

type Declared = Readonly<{ name: string; spec: string; version: string }>

/** What sits on stanzas. A feature that needs a model is made by `createX(deps): Feature`. */
export type Feature = Declared & Readonly<{ setup(host: Host): void }>

/** What sits on the stream and not on stanzas: TLS, SASL, binding. */
export type StreamFeature = Declared &
  Readonly<{
    /** The child of `<stream:features/>` now, if it is on offer in this state of the stream. */
    offer(stream: ClientStream): Element | undefined
    /** Takes an element that no session takes. False: not mine. While a promise is open, the stream reads nothing else. */
    onElement(stream: ClientStream, element: Element): boolean | Promise<boolean>
  }>

/** Who answers an iq: this server, or this server on behalf of the client's own account (RFC 6120 §10.3.3). */
export type Target = 'server' | 'account'

export type IqType = 'get' | 'set'

/** Answers the child of the result, nothing for an empty result, or why not. The router fills to, from and id. */
export type IqHandler = (iq: Stanza, session: ClientSession, target: Target) => IqAnswer | Promise<IqAnswer>
export type IqAnswer = Element | StanzaError | undefined

/** `check` refuses, `transform` replaces, `deliver` brings it to its receivers, `after` observes. */
export type Phase = 'check' | 'transform' | 'deliver' | 'after'

/** Nothing: go on. A stanza: go on with this one. An error: it goes back. `done`: nobody else needs to see it. */
export type StanzaHandler = (stanza: Stanza, session: ClientSession) => StanzaAnswer | Promise<StanzaAnswer>
export type StanzaAnswer = Stanza | StanzaError | 'done' | undefined

export interface Host {
  /** A namespace that disco#info names, at the server or at an account. */
  advertise(ns: string, target: Target): void
  /** One handler per type, namespace and name of the child; a second one is a fault of ours. @throws Error */
  onIq(type: IqType, ns: string, name: string, handler: IqHandler): void
  onMessage(phase: Phase, handler: StanzaHandler): void
  onPresence(phase: Phase, handler: StanzaHandler): void
  /** The session has left the account's resources, by whatever way. */
  onSessionEnd(handler: (session: ClientSession) => void): void
  /** What features advertise and register: complete once every feature is set up. */
  readonly advertised: Readonly<Record<Target, readonly string[]>>
}

/** RFC 6120 §4.9.3: stream errors that this server sends. */
export type StreamCondition =
  | 'bad-format'
  | 'conflict'
  | 'connection-timeout'
  | 'host-unknown'
  | 'improper-addressing'
  | 'internal-server-error'
  | 'invalid-from'
  | 'invalid-namespace'
  | 'not-authorized'
  | 'not-well-formed'
  | 'policy-violation'
  | 'reset'
  | 'resource-constraint'
  | 'restricted-xml'
  | 'system-shutdown'
  | 'undefined-condition'
  | 'unsupported-encoding'
  | 'unsupported-feature'
  | 'unsupported-stanza-type'
  | 'unsupported-version'

export interface ClientStream {
  readonly secure: boolean
  /** The peer's IP address; '' when it is not known. */
  readonly address: string
  readonly principal: Principal | null
  readonly session: ClientSession | null
  send(element: Element): void
  /** Sends the error and closes; nothing that the peer sends is read any more. */
  fail(condition: StreamCondition, text?: string, detail?: Element): void
  /** True when the peer has sent more than the element that is being handled: no step may be taken on what came early. */
  readonly hasMore: boolean
  /** Writes `proceed` in the clear, then nothing but TLS. */
  startTls(proceed: Element): void
  /** Writes `success`; then a new stream begins on the same connection, for who has logged in (RFC 6120 §6.4.6). */
  authenticate(login: Login, success: Element): void
  /** Takes the resource for this stream; an older stream that has it is closed with `conflict`. */
  bind(resource: string): ClientSession
  /** The session counts stanzas from the end of `enabled` on, which is written with the name to resume it by, if it may be. */
  manage(resumeSeconds: number | null, enabled: (previd: string | null) => Element): void
  /**
   * Takes over a session of the same account, from another stream or from none: what was not acknowledged is sent
   * again. `unknown`: there is no such session. `impossible`: so many stanzas were never sent.
   */
  resume(
    previd: string,
    h: number,
    resumed: (handled: number) => Element,
  ): Promise<'resumed' | 'unknown' | Readonly<{ sent: number }>>
}

/** A bound resource. */
export interface ClientSession {
  readonly principal: Principal
  readonly jid: Jid
  /** `jid` as text. */
  readonly address: string
  /** The last available presence as it was broadcast, null while unavailable. */
  readonly presence: Element | null
  readonly priority: number
  /** xml:lang of its stream. */
  readonly lang: string | null
  /** Other devices' messages are copied to this one (XEP-0280). */
  wantsCopies: boolean
  /** It acknowledges what it gets (XEP-0198). */
  readonly acks: Readonly<{ isOn: boolean; sentCount: number }>
  /** False: so many were never sent. */
  acknowledge(h: number): boolean
  /** An answer to this session itself, which is not read while too many wait. */
  send(element: Element): void
  /** The same for an element in the stanzas' namespace that is written already. */
  sendXml(xml: string): void
  /** With what it has been sent so far the client knows its log up to `seq`: no backlog begins before. */
  knowsArchive(seq: number): void
  /** What anyone at all says to this session, beside the log. False: it does not read, and there is no room. */
  offer(element: Element): boolean
  /**
   * What its own account and its contacts bring about, in order: at once, or when there is room again, and then of each
   * `key` only the newest, as `later` makes it. Too many that wait end the stream.
   */
  tell(key: string, element: Element, later?: () => Element): void
  /** Brings a message through the one door; a refusal goes back as the error of `stanza`. */
  admit(message: Message, stanza: Stanza): void
  /** Ends its stream. */
  fail(condition: StreamCondition, text?: string): void
  becomeAvailable(presence: Element, priority: number): void
  /** Becomes a receiver of its account's log, if it is available. @throws when the store is away */
  readLog(): Promise<void>
  becomeUnavailable(): void
}

/** The resources that have asked for the roster, and so are told of its changes (RFC 6121 §2.2). */
export type Interest = WeakMap<ClientSession, Readonly<{ versioned: boolean }>>

/** The bound resources of this node. */
export interface Resources {
  of(account: string): readonly ClientSession[]
  find(account: string, resource: string): ClientSession | undefined
}
