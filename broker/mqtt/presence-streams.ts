// The streams `u/{user}/presence` and `u/+/presence` (DESIGN §2): the current state first, then changes; QoS 0.
import type { Presence, Status } from '../contacts.ts'
import type { Logger } from '../log.ts'
import { presenceJson } from '../presence-payload.ts'
import { ownPublication, type Publication } from '../publication.ts'
import type { SubscriptionOptions } from '../routes.ts'
import type { Session } from '../session.ts'
import { presenceTopic } from '../topic.ts'
import { looseTopic } from '../topic-table.ts'
import type { Party } from '../types.ts'
import { encodeProperties } from './codec/properties.ts'

/** Whose presence: null for every contact, also those that come later. */
type Filter = Readonly<{ of: string | null; options: SubscriptionOptions }>

type Shown = Readonly<{ from: Party; publication: Publication; retain: boolean }>

export type PresenceStreams = Readonly<{ of(session: Session): SessionPresence }>

type Deps = Readonly<{ presence: Presence; party: (id: number, name: string) => Party; logger: Logger }>

/** Who follows presence on this node. Every change is shown to those only who may see it at that moment. */
export function createPresenceStreams({ presence, party, logger }: Deps): PresenceStreams {
  const online = new Map<number, Set<SessionPresence>>()
  const hub: Hub = {
    presence,
    party,
    logger,
    enter(account, follower) {
      const followers = online.get(account)
      if (followers) followers.add(follower)
      else online.set(account, new Set([follower]))
    },
    leave(account, follower) {
      const followers = online.get(account)
      if (followers?.delete(follower) && followers.size === 0) online.delete(account)
    },
  }

  function show(viewers: readonly Party[], from: Party, status: Status): void {
    let publication: Publication | null = null
    for (const viewer of viewers) {
      for (const follower of online.get(viewer.id) ?? []) {
        publication ??= toPublication(from, status)
        follower.show({ from, publication, retain: false })
      }
    }
  }

  presence.join({
    device: () => undefined,
    status: (from, status, audience) => show(audience, from, status),
    right: (viewer, of, granted) => show([viewer], of, granted ? presence.status(of.id) : unseen),
  })
  return { of: (session) => new SessionPresence(session, hub) }
}

/** What is said of somebody who may not be seen any more. */
const unseen: Status = { show: 'offline', status: '', since: 0 }

type Hub = Deps &
  Readonly<{
    enter(account: number, follower: SessionPresence): void
    leave(account: number, follower: SessionPresence): void
  }>

/** The presence filters of one session. */
export class SessionPresence {
  private readonly session: Session
  private readonly hub: Hub
  private readonly filters = new Map<string, Filter>()
  /** Shown when there is room again: of each the last, which was for this viewer's eyes. */
  private readonly missed = new Map<string, Shown>()
  private isOpen = false

  constructor(session: Session, hub: Hub) {
    this.session = session
    this.hub = hub
  }

  has(filter: string): boolean {
    return this.filters.has(filter)
  }

  get names(): Iterable<string> {
    return this.filters.keys()
  }

  get count(): number {
    return this.filters.size
  }

  add(filter: string, kept: Filter): void {
    this.filters.set(filter, kept)
    if (this.isOpen) this.hub.enter(this.session.account, this)
  }

  remove(filter: string): void {
    this.filters.delete(filter)
    if (this.filters.size === 0) this.hub.leave(this.session.account, this)
  }

  /** The session is online. */
  open(): void {
    this.isOpen = true
    if (this.filters.size > 0) this.hub.enter(this.session.account, this)
  }

  /** A session that was away is told how things are now. */
  showAll(): void {
    for (const filter of this.filters.keys()) this.showCurrent(filter)
  }

  close(): void {
    this.isOpen = false
    this.missed.clear()
    this.hub.leave(this.session.account, this)
  }

  resume(): void {
    for (const shown of this.missed.values()) {
      if (!this.offer(shown)) return
      this.missed.delete(shown.from.name)
    }
  }

  show(shown: Shown): void {
    if (this.offer(shown)) this.missed.delete(shown.from.name)
    else this.missed.set(shown.from.name, shown)
  }

  /** The state of all whom the filter names and who may be seen, as if it were retained. */
  showCurrent(filter: string): void {
    const { hub } = this
    this.visible(filter)
      .then((visible) => {
        for (const from of this.isOpen ? visible : []) {
          this.show({ from, publication: toPublication(from, hub.presence.status(from.id)), retain: true })
        }
      })
      .catch((err: unknown) => hub.logger.warn({ err }, 'a follower of presence was not told how it is now'))
  }

  private async visible(filter: string): Promise<readonly Party[]> {
    const { session, hub } = this
    const kept = this.filters.get(filter)
    if (kept === undefined) return []
    const me = hub.party(session.account, session.accountName)
    if (kept.of === null) return hub.presence.contacts(me)
    const one = await hub.presence.visible(me, kept.of)
    return one === null ? [] : [one]
  }

  /** Overlapping filters deliver once. True: done, or nothing to do. */
  private offer({ from, publication, retain }: Shown): boolean {
    const matching = [...this.filters.values()].filter(({ of }) => isFor(of, from, this.session.account))
    if (matching.length === 0) return true
    const subscriptionIds = matching.map(({ options }) => options.subscriptionId).filter((id) => id > 0)
    return this.session.offer({
      publication,
      qos: 0,
      retain,
      subscriptionIds,
      origin: unacknowledged,
      place: 0,
      stage: 'sent',
    })
  }
}

/** QoS 0. */
const unacknowledged = { repeatsUpTo: 0, acknowledged: () => undefined }

function isFor(of: string | null, from: Party, account: number): boolean {
  return of === null ? from.id !== account : of === from.name
}

function toPublication(from: Party, status: Status): Publication {
  const payload = Buffer.from(presenceJson(from, status))
  const publication = ownPublication(looseTopic(presenceTopic(from.name)), payload, 0)
  publication.properties = encodeProperties({ contentType: 'application/vnd.clearbox+json; v=1' })
  return publication
}
