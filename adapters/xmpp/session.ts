// One bound resource: its place among the account's resources, its presence, and its follower of the account's log.
import { BrokerError } from '../../broker/errors.ts'
import type { Counters } from '../../broker/metrics.ts'
import type {
  Admission,
  Follower,
  Followers,
  FollowingSession,
  LogEntry,
  Message,
  Principal,
  Receipt,
  ReceiptSink,
} from '../../broker/types.ts'
import { type Element, toXml } from './element.ts'
import type { ClientSession, Resources, StreamCondition } from './feature.ts'
import { type Jid, toText } from './jid.ts'
import { type Naming, toStanza } from './map.ts'
import type { Output } from './output.ts'
import { createPosition, type Position } from './position.ts'
import { errorOf, type Stanza, toStanzaError } from './stanza.ts'

/** Messages behind a first available presence, at most (DESIGN §5). */
const backlogLimit = 200
const liveMs = 2000

export type SessionDeps = Readonly<{
  admission: Admission
  followers: Followers
  resources: Resources
  counters: Counters
  naming: Naming
}>

export type Binding = Readonly<{
  principal: Principal
  jid: Jid
  lang: string | null
  output: Output
  fail(condition: StreamCondition, text?: string): void
  /** A message of this session has been settled. */
  onSettled(): void
}>

export class Session implements ClientSession, FollowingSession, ReceiptSink {
  readonly principal: Principal
  readonly jid: Jid
  readonly address: string
  readonly lang: string | null
  presence: Element | null = null
  priority = 0
  readonly #deps: SessionDeps
  readonly #binding: Binding
  readonly #position: Position
  readonly #unsettled = new Map<number, Stanza>()
  #lastToken = 0
  #follower: Follower | null = null
  #takesAll = false
  #availableAt = 0
  #lastWritten = 0
  #isClosed = false

  constructor(deps: SessionDeps, binding: Binding) {
    this.#deps = deps
    this.#binding = binding
    this.principal = binding.principal
    this.jid = binding.jid
    this.address = toText(binding.jid)
    this.lang = binding.lang
    this.#position = createPosition((seq) => deps.followers.acknowledged(this.principal.account, seq))
  }

  send(element: Element): void {
    if (this.#isClosed) return
    this.#deps.counters.xmppStanzasSent++
    this.#binding.output.write(toXml(element))
  }

  offer(element: Element): boolean {
    if (this.#binding.output.isOverfull) return false
    this.send(element)
    return true
  }

  fail(condition: StreamCondition, text?: string): void {
    this.#binding.fail(condition, text)
  }

  /** Messages on their way into the log. */
  get unsettled(): number {
    return this.#unsettled.size
  }

  /** How long the next message must wait for the account's quota. */
  get quotaDelayMs(): number {
    return this.#deps.admission.delayMs(this.principal.account)
  }

  admit(message: Message, stanza: Stanza): void {
    const token = ++this.#lastToken
    this.#unsettled.set(token, stanza)
    this.#deps.admission.admit(message, this, token)
  }

  settle(token: number, outcome: Receipt | BrokerError): void {
    const stanza = this.#unsettled.get(token)
    if (!this.#unsettled.delete(token) || stanza === undefined) return
    if (outcome instanceof BrokerError && stanza.type !== 'error') {
      this.send(errorOf(stanza.element, this.address, toStanzaError(outcome)))
    }
    this.#binding.onSettled()
  }

  async becomeAvailable(presence: Element, priority: number): Promise<void> {
    this.presence = presence
    this.priority = priority
    // A negative one follows for what names it; the backlog is read again once it takes everything.
    if (this.#follower !== null && (this.#takesAll || priority < 0)) return
    this.#takesAll = priority >= 0
    this.#availableAt = Date.now()
    const { account } = this.principal
    const after = await this.#deps.followers.backlogStart(account, backlogLimit)
    if (this.#isClosed) return
    this.#follower?.close()
    this.#follower = this.#deps.followers.follow(this, account, 'chat', after)
  }

  becomeUnavailable(): void {
    this.presence = null
    this.#takesAll = false
    this.#follower?.close()
    this.#follower = null
  }

  deliver(_follower: Follower, entry: LogEntry): boolean {
    if (this.#isClosed || !this.#isFor(entry)) return true
    const { output } = this.#binding
    if (output.isFull) return false
    output.write(toStanza(this.#isLive(entry) ? { ...entry, late: false } : entry, this.#deps.naming))
    this.#deps.counters.xmppStanzasSent++
    if (entry.seq > 0) {
      this.#lastWritten = Math.max(this.#lastWritten, entry.seq)
      // What a negative one has says nothing about the messages before it, which were not for it.
      if (this.#takesAll) this.#position.wrote(entry.seq, output.written)
    }
    return true
  }

  notice(): void {
    // Refusals reach an XMPP client as stanza errors.
  }

  lost(): void {
    this.fail('not-authorized')
  }

  /** The peer has taken what waited. */
  drained(): void {
    this.#follower?.resume()
  }

  heard(): void {
    this.#position.heard(this.#binding.output.drained)
  }

  sweep(now: number): void {
    this.#position.lived(now, this.#binding.output.drained)
  }

  close(): void {
    this.becomeUnavailable()
    this.#isClosed = true
  }

  /** Met on the way through the log, but so young that a `delay` would only make it look old. */
  #isLive({ late, message: { ts } }: LogEntry): boolean {
    return late && ts >= this.#availableAt && Date.now() - ts < liveMs
  }

  /** RFC 6121 §8.5.2.1.1 and §8.5.3.1: the resource that was named if it is there, else all that are not negative. */
  #isFor({ message, seq }: LogEntry): boolean {
    if (message.to.id !== this.principal.account) return false // What this account sent: carbons are not built yet.
    const { toResource } = message
    if (toResource === this.jid.resource) return seq === 0 || seq > this.#lastWritten
    const named = toResource === null ? undefined : this.#deps.resources.find(this.principal.name, toResource)
    return !named?.presence && this.priority >= 0
  }
}
