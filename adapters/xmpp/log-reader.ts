// What one resource takes of its account's log: from where, in which form, and what again.
import type { Follower, Followers, FollowingSession, LogEntry } from '../../broker/types.ts'
import { type Form, formOf } from './copies.ts'
import type { ClientSession, Resources } from './feature.ts'
import { createReplay, type Replay, whyAgain } from './replay.ts'

/** Messages behind a first available presence, at most (DESIGN §5). */
const backlogLimit = 200
const liveMs = 2000

type Reading = Pick<ClientSession, 'principal' | 'jid' | 'priority' | 'presence' | 'wantsCopies'>

type Deps = Readonly<{
  followers: Followers
  resources: Resources
  /** Whose log it is. */
  session: Reading
  /** Takes an entry in its form. `proves`: the account position that its arrival proves, 0 for none. False: not now. */
  take(entry: LogEntry, form: Form, proves: number): boolean
}>

export class LogReader implements FollowingSession {
  readonly #deps: Deps
  #follower: Follower | null = null
  #replay: Replay | null = null
  #takesAll = false
  #startedAt = 0
  /** Up to here it is backlog: nobody's copies. */
  #backlogTo = 0
  /** Up to here the client knows from the archive (XEP-0313). */
  #archiveTo = 0
  /** The last received one that was taken. */
  #lastTaken = 0

  constructor(deps: Deps) {
    this.#deps = deps
  }

  /** Reads on, or begins behind the account position, at its first priority that is not negative from there again. */
  async start(): Promise<void> {
    const { followers, session } = this.#deps
    const { account } = session.principal
    // A negative one follows for what names it; the backlog is read again once it takes everything.
    if (this.#follower !== null && (this.#takesAll || session.priority < 0)) return
    this.#takesAll = session.priority >= 0
    this.#startedAt = Date.now()
    const [start, head] = await Promise.all([followers.backlogStart(account, backlogLimit), followers.head(account)])
    if (session.presence === null) return
    this.#backlogTo = head
    this.#replay = null
    this.#follow(Math.max(start, this.#archiveTo))
  }

  stop(): void {
    this.#takesAll = false
    this.#follower?.close()
    this.#follower = null
  }

  /** There is room again. */
  resume(): void {
    this.#follower?.resume()
  }

  /** Over a new stream: `seqs` were taken and did not surely arrive. */
  restart(seqs: readonly number[]): void {
    this.#replay = createReplay(this.#replay, seqs, this.#follower?.cursor ?? 0)
    if (this.#follower === null) return
    if (this.#replay === null) this.#follower.resume()
    else this.#follow(this.#replay.after)
  }

  /** What did not surely arrive begins behind this seq; null: nothing is read. */
  restAfter(seqs: readonly number[]): number | null {
    if (this.#follower === null) return null
    const { cursor } = this.#follower
    return createReplay(this.#replay, seqs, cursor)?.after ?? cursor
  }

  /** RFC 6121 §8.5.3.2.1: what was for a resource that is gone, and that it did not get, is for the others. */
  inherit(resource: string, after: number): void {
    const { priority, wantsCopies } = this.#deps.session
    // Who gets copies has had them.
    if (this.#follower === null || priority < 0 || wantsCopies) return
    this.#replay = createReplay(this.#replay, [], this.#follower.cursor, { resource, after })
    if (this.#replay !== null) this.#follow(this.#replay.after)
  }

  knowsArchive(seq: number): void {
    this.#archiveTo = Math.max(this.#archiveTo, seq)
  }

  deliver(_follower: Follower, entry: LogEntry): boolean {
    const form = this.#formOf(entry)
    if (form === null) return true
    const { seq, message } = entry
    // What a negative one has says nothing about the messages before it, which were not for it.
    const proves = this.#takesAll ? seq : 0
    if (!this.#deps.take(this.#isLive(entry) ? { ...entry, late: false } : entry, form, proves)) return false
    if (message.to.id === this.#deps.session.principal.account) this.#lastTaken = Math.max(this.#lastTaken, seq)
    return true
  }

  /** Refusals reach an XMPP client as stanza errors. */
  notice(): boolean {
    return true
  }

  #follow(after: number): void {
    this.#follower?.close()
    this.#follower = this.#deps.followers.follow(this, this.#deps.session.principal.account, 'chat', after)
  }

  /** Met on the way through the log, but so young that a `delay` would only make it look old. */
  #isLive({ late, message: { ts } }: LogEntry): boolean {
    return late && ts >= this.#startedAt && Date.now() - ts < liveMs
  }

  #formOf({ message, seq }: LogEntry): Form | null {
    const { session, resources } = this.#deps
    const { name, account } = session.principal
    const form = formOf(message, {
      account,
      resource: session.jid.resource,
      priority: session.priority,
      wantsCopies: session.wantsCopies && (seq === 0 || seq > this.#backlogTo),
      isElsewhere: (resource) => (resources.find(name, resource)?.presence ?? null) !== null,
    })
    if (this.#replay !== null && seq > 0 && seq <= this.#replay.to) {
      const why = whyAgain(this.#replay, seq, message.toResource)
      if (why === null) return null
      return form ?? (why === 'legacy' ? null : message.to.id === account ? 'message' : 'sent')
    }
    // A negative one that takes everything now meets again what named it.
    return message.toResource === session.jid.resource && seq > 0 && seq <= this.#lastTaken ? null : form
  }
}
