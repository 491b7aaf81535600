// RFC 6120 §4: XML Streams  https://www.rfc-editor.org/rfc/rfc6120#section-4
// One connection: its streams one after the other, in at the pace of the store and out at the pace of the peer.
import { randomBytes } from 'node:crypto'
import type { SecureContext } from 'node:tls'
import type { Limits } from '../../broker/limits.ts'
import type { Logger } from '../../broker/log.ts'
import type { Counters } from '../../broker/metrics.ts'
import type { Pressure } from '../../broker/pressure.ts'
import type { Authenticator, Login, Principal } from '../../broker/types.ts'
import { readCount, smNs, tooManyHandled } from './acks.ts'
import { type Connection, createConnection, type Transport } from './connection.ts'
import { childOf, clientNs, type Element, el, toXml } from './element.ts'
import type { ClientStream, StreamCondition, StreamFeature } from './feature.ts'
import type { Framing } from './framing.ts'
import { checkHeader, nameOf, streamNs, toStreamError } from './header.ts'
import type { Hibernation } from './hibernation.ts'
import { createInbox, type Inbox, type Item, type ItemKind } from './inbox.ts'
import { mustWait } from './pace.ts'
import type { Router } from './router.ts'
import type { Binding, Outlet, Session } from './session.ts'
import { isStanzaName } from './stanza.ts'
import type { XmlReader } from './xml.ts'
import { toFault } from './xml-tree.ts'

const maxBytesBefore = 10 * 1024
const maxBytesAfter = 256 * 1024

export type StreamDeps = Readonly<{
  /** Prepared. */
  domain: string
  secureContext: () => SecureContext
  limits: Limits
  counters: Counters
  logger: Logger
  authenticator: Pick<Authenticator, 'onEnd'>
  features: readonly StreamFeature[]
  router: Router
  pressure: Pressure
  /** Registers the session; an older one with the same address is ended first. */
  openSession(binding: Binding, outlet: Outlet): Session
  closeSession(session: Session): void
  /** Sessions that outlive their streams. */
  hibernation: Hibernation
  onClose(stream: Stream): void
}>

type State = 'opening' | 'open' | 'closed'

export class Stream implements ClientStream {
  principal: Principal | null = null
  session: Session | null = null
  readonly #deps: StreamDeps
  readonly #connection: Connection
  readonly #framing: Framing
  readonly #inbox: Inbox
  #reader: XmlReader
  #state: State = 'opening'
  #lang: string | null = null
  #forgetEnd = () => {}

  constructor(deps: StreamDeps, transport: Transport) {
    const { limits, logger } = deps
    this.#deps = deps
    this.#framing = transport.framing
    this.#connection = createConnection(transport, {
      limits,
      logger,
      onData: (bytes) => this.#onData(bytes),
      onDrain: () => this.#onDrain(),
      onClose: () => {
        this.#leave('broken')
        deps.onClose(this)
      },
    })
    this.#inbox = createInbox({
      isBlocked: (item) => this.#isBlocked(item),
      onIdle: () => this.#regulate(),
      onFault: (err) => {
        logger.error({ err }, 'an XMPP stream failed')
        this.fail('internal-server-error')
      },
    })
    this.#reader = this.#createReader()
  }

  get secure(): boolean {
    return this.#connection.isSecure
  }

  get address(): string {
    return this.#connection.address
  }

  get hasMore(): boolean {
    return this.#inbox.length > 0 || !this.#reader.atRest
  }

  send(element: Element): void {
    if (this.#state === 'open') this.#connection.output.write(toXml(element))
  }

  fail(condition: StreamCondition, text?: string, detail?: Element): void {
    if (this.#state === 'closed') return
    if (this.#state === 'opening') this.#sendHeader(null) // RFC 6120 §4.9.1.2
    this.#connection.output.write(toStreamError(condition, text, detail))
    this.#end()
    this.#deps.logger.debug({ condition }, 'XMPP stream refused')
  }

  startTls(proceed: Element): void {
    this.send(proceed)
    this.#connection.startTls(this.#deps.secureContext())
    this.#restart()
  }

  authenticate(login: Login, success: Element): void {
    const { principal } = login
    this.principal = principal
    this.#connection.trust()
    const end = (isGone: boolean) =>
      isGone ? this.fail('not-authorized', 'The account was deleted.') : this.fail('reset', 'Log in again.')
    this.#forgetEnd = this.#deps.authenticator.onEnd(principal, end, login)
    this.send(success)
    this.#restart()
  }

  bind(resource: string): Session {
    const { principal } = this
    if (principal === null || this.session !== null) throw new Error('a stream binds once, after its login')
    const { domain } = this.#deps
    const jid = { local: principal.name, domain, resource }
    this.session = this.#deps.openSession({ principal, jid, lang: this.#lang }, this.#outlet())
    return this.session
  }

  manage(resumeSeconds: number | null, enabled: (previd: string | null) => Element): void {
    const { session } = this
    if (session === null) throw new Error('a session is bound before it is managed')
    const previd = resumeSeconds === null ? null : this.#deps.hibernation.allow(session, resumeSeconds)
    this.send(enabled(previd))
    session.acks.start()
  }

  async resume(previd: string, h: number, resumed: (handled: number) => Element) {
    const { hibernation } = this.#deps
    const session = this.principal && hibernation.find(previd, this.principal.account)
    if (!session) return 'unknown'
    if (session.hasStream) {
      // From now on it waits, for this stream or for another one if this one breaks.
      session.release()
      hibernation.sleep(session)
    }
    await session.acks.handled.whenIdle()
    if (this.#state === 'closed' || hibernation.find(previd, session.principal.account) !== session) return 'unknown'
    if (session.hasStream) return 'unknown'
    if (!session.acknowledge(h)) return { sent: session.acks.sentCount }
    hibernation.wake(session)
    this.session = session
    this.send(resumed(session.acks.handled.count))
    session.attach(this.#outlet())
    return 'resumed'
  }

  #outlet(): Outlet {
    return {
      output: this.#connection.output,
      fail: (condition, text) => this.fail(condition, text),
      onSettled: () => this.#inbox.pump(),
      release: () => {
        this.session = null
        this.fail('conflict', 'The session goes on over another stream.')
      },
    }
  }

  /** Once a second. */
  sweep(now: number): void {
    const { limits } = this.#deps
    this.#connection.sweep(now)
    if (this.session !== null) this.#sweepSession(this.session, now)
    else if (this.#connection.age(now) > limits.loginMs) this.fail('connection-timeout', 'The login took too long.')
  }

  #sweepSession(session: Session, now: number): void {
    session.sweep(now)
    if (session.unsettled === 0 || !this.#deps.pressure.isStalled()) return
    this.#deps.counters.overloadCloses++
    this.fail('resource-constraint', 'The server cannot take messages now.') // DESIGN §9
  }

  #createReader(): XmlReader {
    const take = (work: () => void | Promise<void>, kind: ItemKind = 'other') => this.#inbox.add({ work, kind })
    return this.#framing.createReader(
      {
        onOpen: (root, contentNs) => take(() => this.#onHeader(root, contentNs)),
        onElement: (element) => {
          this.session?.heard(isStanzaName(element.name))
          if (!this.#takesAck(element)) this.#queue(element, kindOf(element))
        },
        onText: () => take(() => this.fail('bad-format', 'There is text between stanzas.')),
        // Behind all that the peer said before: its goodbye is answered when that has been settled (RFC 6120 §4.4).
        onClose: () => take(() => this.#end()),
      },
      this.principal === null ? maxBytesBefore : maxBytesAfter,
    )
  }

  #queue(element: Element, kind: ItemKind): void {
    const work = () => {
      if (kind === 'counted') this.session?.spend()
      return this.#onElement(element)
    }
    this.#inbox.add({ work, kind })
  }

  #onData(bytes: Buffer): void {
    try {
      this.#reader.read(bytes)
    } catch (fault) {
      const { condition, message } = toFault(fault)
      // Behind what was said well before it.
      this.#inbox.add({ work: () => this.fail(condition, message), kind: 'other' })
    }
    this.#inbox.pump()
  }

  #onHeader(root: Element, contentNs: string): void {
    this.#lang = root.attrs['xml:lang'] ?? null
    this.#sendHeader(root)
    const wrong = checkHeader(root, contentNs, this.#deps.domain)
    if (wrong !== null) {
      this.fail(wrong)
      return
    }
    if (!this.secure && !this.#framing.hasStartTls) {
      this.fail('policy-violation', 'A login needs TLS: come back over wss.')
      return
    }
    const offers = this.#deps.features.flatMap((feature) => feature.offer(this) ?? [])
    this.send(el('stream:features', clientNs, {}, ...offers))
  }

  #sendHeader(root: Element | null): void {
    this.#state = 'open'
    const id = randomBytes(12).toString('base64url')
    this.#connection.output.write(this.#framing.open({ domain: this.#deps.domain, id, to: nameOf(root) }))
  }

  #onElement(element: Element): void | Promise<void> {
    const { name, ns } = element
    if (ns === streamNs && name === 'error') return this.#end()
    const isStanza = isStanzaName(name)
    if (isStanza && ns !== clientNs) return this.fail('invalid-namespace')
    if (isStanza) this.#deps.counters.xmppStanzasReceived++
    const { session } = this
    if (isStanza && session !== null) return session.handle(() => this.#deps.router.take(element, name, session))
    return this.#offerToFeatures(element, isStanza)
  }

  /** XEP-0198 §4: whatever waits, an acknowledgement does not. */
  #takesAck({ name, ns, attrs }: Element): boolean {
    const { session } = this
    if (ns !== smNs || session === null || !session.acks.isOn || (name !== 'r' && name !== 'a')) return false
    const h = readCount(attrs.h)
    if (name === 'r') session.acks.tellHandled()
    else if (h === null) this.fail('bad-format', 'There is no count of stanzas.')
    else if (!session.acknowledge(h)) this.fail(...tooManyHandled(h, session.acks.sentCount))
    return true
  }

  /** In this turn unless a feature has to wait: what follows <starttls/> in the clear must not be read before it is seen. */
  #offerToFeatures(element: Element, isStanza: boolean, first = 0): void | Promise<void> {
    const { features } = this.#deps
    for (let at = first; at < features.length; at++) {
      const taken = features[at]?.onElement(this, element)
      if (taken === true) return
      if (taken instanceof Promise) {
        return taken.then((late) => (late ? undefined : this.#offerToFeatures(element, isStanza, at + 1)))
      }
    }
    // RFC 6120 §4.9.3.12: stanzas come after the login and after binding (§7.1).
    this.fail(isStanza ? 'not-authorized' : 'unsupported-stanza-type')
  }

  /** A new stream on the same connection: what belongs to the old one is forgotten. */
  #restart(): void {
    this.#state = 'opening'
    this.#reader = this.#createReader()
  }

  #end(): void {
    if (this.#state === 'closed') return
    if (this.#state === 'opening') this.#sendHeader(null)
    this.#connection.output.write(this.#framing.close)
    this.#leave('ended')
    this.#connection.end()
  }

  /** A session that may be resumed outlives a stream that broke, and no other. */
  #leave(how: 'ended' | 'broken'): void {
    this.#state = 'closed'
    this.#inbox.close()
    this.#forgetEnd()
    const { session } = this
    this.session = null
    if (session === null || (how === 'broken' && this.#deps.hibernation.sleep(session))) return
    this.#deps.closeSession(session)
  }

  #onDrain(): void {
    this.session?.drained()
    this.#regulate()
  }

  /** Answers are never dropped: while too many wait, or work is left over, the peer is not read. */
  #regulate(): void {
    if (this.#state === 'closed') return
    const isIdle = this.#inbox.length === 0 && !this.#inbox.isBusy
    this.#connection.setReading(isIdle && !this.#connection.output.isFull)
  }

  #isBlocked({ kind }: Item): boolean {
    if (this.session === null) return false
    const waitMs = mustWait(this.session, kind, this.#deps)
    if (waitMs !== null && waitMs > 0) this.#inbox.pumpLater(waitMs)
    return waitMs !== null
  }
}

function kindOf(element: Element): ItemKind {
  const { name } = element
  if (name === 'message') return 'message'
  if (name === 'presence' || changesRoster(element)) return 'counted'
  return isStanzaName(name) ? 'other' : 'nonza'
}

function changesRoster(element: Element): boolean {
  return element.attrs.type === 'set' && childOf(element, 'query', 'jabber:iq:roster') !== undefined
}
