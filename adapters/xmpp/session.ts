// One bound resource: its place among the account's resources, its presence, and its follower of the account's log.
import { BrokerError } from '../../broker/errors.ts'
import type { Limits } from '../../broker/limits.ts'
import type { Counters } from '../../broker/metrics.ts'
import type { Admission, Followers, LogEntry, Message, Principal, Receipt, ReceiptSink } from '../../broker/types.ts'
import { Acks } from './acks.ts'
import type { Form } from './copies.ts'
import { type Element, toXml } from './element.ts'
import type { ClientSession, Resources, StreamCondition } from './feature.ts'
import { type Jid, toText } from './jid.ts'
import type { Sent } from './ledger.ts'
import { LogReader } from './log-reader.ts'
import { type Naming, toCopy, toStanza } from './map.ts'
import type { Output } from './output.ts'
import { createPosition, type Position } from './position.ts'
import { createPostponed } from './postponed.ts'
import { errorOf, type Stanza, toStanzaError } from './stanza.ts'

export type SessionDeps = Readonly<{
  admission: Admission
  followers: Followers
  resources: Resources
  counters: Counters
  naming: Naming
  limits: Pick<Limits, 'outputBytes'>
  /** Ends a session that has no stream. */
  end(session: Session): void
}>

export type Binding = Readonly<{ principal: Principal; jid: Jid; lang: string | null }>

/** The stream that a session has for now. */
export type Outlet = Readonly<{
  output: Output
  fail(condition: StreamCondition, text?: string): void
  /** Something of this session has been settled. */
  onSettled(): void
  /** Another stream takes the session over: this one closes without it. */
  release(): void
}>

export class Session implements ClientSession, ReceiptSink {
  readonly principal: Principal
  readonly jid: Jid
  readonly address: string
  readonly lang: string | null
  presence: Element | null = null
  priority = 0
  wantsCopies = false
  readonly #deps: SessionDeps
  readonly #position: Position
  readonly acks: Acks
  readonly #reader: LogReader
  readonly #unsettled = new Map<number, Stanza>()
  readonly #postponed = createPostponed({ hasRoom: () => this.#hasRoom, send: (element) => this.send(element) })
  /** Null: its stream broke, and it waits for another one. */
  #outlet: Outlet | null
  #lastToken = 0
  #isClosed = false

  constructor(deps: SessionDeps, binding: Binding, outlet: Outlet) {
    this.#deps = deps
    this.#outlet = outlet
    this.principal = binding.principal
    this.jid = binding.jid
    this.address = toText(binding.jid)
    this.lang = binding.lang
    const acknowledged = (seq: number) => deps.followers.acknowledged(this.principal.account, seq)
    this.#position = createPosition(acknowledged)
    this.acks = new Acks({
      acknowledged,
      maxChars: deps.limits.outputBytes,
      write: (xml) => {
        this.#outlet?.output.write(xml)
        return this.#outlet !== null
      },
    })
    this.#reader = new LogReader({
      ...deps,
      session: this,
      take: (entry, form, proves) => this.#take(entry, form, proves),
    })
  }

  send(element: Element): void {
    this.sendXml(toXml(element))
  }

  sendXml(xml: string): void {
    if (this.#isClosed) return
    this.#write(xml, { xml, seq: 0, proves: 0 })
    if (this.acks.isOverfull) this.fail('resource-constraint', 'Too much is not acknowledged.')
  }

  offer(element: Element): boolean {
    if (!this.#hasRoomForOthers) return false
    this.send(element)
    return true
  }

  tell(key: string, element: Element, later = () => element): void {
    if (!this.#postponed.tell(key, element, later)) this.fail('resource-constraint', 'Too much is not read.')
  }

  fail(condition: StreamCondition, text?: string): void {
    if (this.#outlet === null) this.#deps.end(this)
    else this.#outlet.fail(condition, text)
  }

  /** Messages on their way into the log. */
  get unsettled(): number {
    return this.acks.handled.unsettled
  }

  /** How long the next message must wait for the account's quota. */
  get quotaDelayMs(): number {
    return this.#deps.admission.delayMs(this.principal.account)
  }

  /** What is no message counts, too. */
  spend(): void {
    this.#deps.admission.spend(this.principal.account)
  }

  /** Takes one stanza, or a step that must be over before another stream may go on. */
  handle(work: () => void | Promise<void>): void | Promise<void> {
    this.acks.handled.begin()
    const pending = work()
    if (pending === undefined) return this.#taken()
    return pending.finally(() => this.#taken())
  }

  admit(message: Message, stanza: Stanza): void {
    const token = ++this.#lastToken
    this.#unsettled.set(token, stanza)
    this.acks.handled.admit(token)
    this.#deps.admission.admit(message, this, token)
  }

  settle(token: number, outcome: Receipt | BrokerError): void {
    const stanza = this.#unsettled.get(token)
    if (!this.#unsettled.delete(token) || stanza === undefined) return
    if (outcome instanceof BrokerError && stanza.type !== 'error') {
      this.send(errorOf(stanza.element, this.address, toStanzaError(outcome)))
    }
    this.acks.handled.settle(token)
    this.acks.tellLater()
    this.#outlet?.onSettled()
  }

  becomeAvailable(presence: Element, priority: number): void {
    this.presence = presence
    this.priority = priority
  }

  readLog(): Promise<void> {
    return this.#reader.start()
  }

  becomeUnavailable(): void {
    this.presence = null
    this.#reader.stop()
  }

  /** The peer has taken what waited. */
  drained(): void {
    this.#postponed.send()
    this.#reader.resume()
  }

  /** The client has said something. */
  heard(isStanza: boolean): void {
    if (this.#outlet !== null) this.#position.heard(this.#outlet.output.drained)
    if (isStanza) this.acks.handled.arrive()
  }

  sweep(now: number): void {
    if (this.#outlet !== null) this.#position.lived(now, this.#outlet.output.drained)
  }

  knowsArchive(seq: number): void {
    this.#reader.knowsArchive(seq)
    if (this.acks.isOn) this.acks.mark(seq)
    else this.#wrote(seq)
  }

  get hasStream(): boolean {
    return this.#outlet !== null
  }

  acknowledge(h: number): boolean {
    const isPossible = this.acks.acknowledge(h)
    if (isPossible) {
      this.#postponed.send()
      this.#reader.resume()
    }
    return isPossible
  }

  /** Its stream broke: stored messages wait in the log, others in memory as far as there is room. */
  detach(): void {
    this.#outlet = null
    this.acks.detach()
  }

  release(): void {
    this.#outlet?.release()
  }

  /** Goes on over another stream: what was not acknowledged is sent again, from memory first, then from the log. */
  attach(outlet: Outlet): void {
    this.#outlet = outlet
    const again = this.acks.restart()
    for (const sent of again) if (sent.xml !== null) this.#write(sent.xml, sent)
    this.#reader.restart(again.flatMap(({ xml, seq }) => (xml === null ? [seq] : [])))
    this.#postponed.send()
  }

  /** What this session has not surely got begins behind this seq; null: there is nothing that another one must get. */
  get restAfter(): number | null {
    const isOwing = this.acks.seqs.length > 0 || this.#outlet === null
    return this.acks.isOn && isOwing ? this.#reader.restAfter(this.acks.seqs) : null
  }

  inherit(resource: string, after: number): void {
    this.#reader.inherit(resource, after)
  }

  close(): void {
    this.becomeUnavailable()
    this.#isClosed = true
  }

  #take(entry: LogEntry, form: Form, proves: number): boolean {
    const { seq } = entry
    if (seq > 0 ? !this.#isReady : !this.#hasRoomForOthers) return false
    const { naming } = this.#deps
    const xml = form === 'message' ? toStanza(entry, naming) : toCopy(entry, form, this.address, naming)
    this.#write(xml, seq === 0 ? { xml, seq, proves } : { xml: null, seq, proves })
    if (proves > 0 && !this.acks.isOn) this.#wrote(proves)
    return true
  }

  #wrote(position: number): void {
    if (this.#outlet !== null) this.#position.wrote(position, this.#outlet.output.written)
  }

  #write(xml: string, sent: Sent): void {
    this.#deps.counters.xmppStanzasSent++
    this.#outlet?.output.write(xml)
    this.acks.sent(sent)
  }

  #taken(): void {
    this.acks.handled.end()
    this.acks.tellLater()
  }

  get #hasRoomForOthers(): boolean {
    return !this.#outlet?.output.isFull && this.acks.hasRoomForOthers
  }

  get #hasRoom(): boolean {
    return !this.#outlet?.output.isOverfull && this.acks.hasRoom
  }

  get #isReady(): boolean {
    return this.#outlet !== null && !this.#outlet.output.isFull && !this.acks.isFull
  }
}
