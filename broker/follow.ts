// Followers: owner → sessions. Deliver if `seq` is next, else read the log from there.
import type { Logger } from './log.ts'
import type { MessageLog } from './message-log.ts'
import type { Counters } from './metrics.ts'
import type { ArchiveStore, Taken } from './stores.ts'
import { createTurns, type Turns } from './turns.ts'
import type { Follower, Followers, FollowingSession, Kind, LogEntry, Notice, View } from './types.ts'

const entriesPerRead = 100
const retryMs = 1000

export type FollowersDeps = Readonly<{
  log: Pick<MessageLog, 'read' | 'onAppended' | 'head'>
  /** Of receipts and read markers. */
  watermarks: Pick<MessageLog, 'read' | 'onAppended'>
  positions: Pick<ArchiveStore, 'backlogStart' | 'savePositions'>
  /** Reads at a time, per node (DESIGN §9). */
  logReaders: number
  counters: Pick<Counters, 'followers' | 'liveDropped'>
  logger: Logger
}>

export type FollowerHub = Followers &
  Readonly<{
    /** Delivers what is never stored to whom follows now. */
    live(entry: LogEntry): void
    /** To the account's followers of `err`; for clients without reason codes. */
    notice(account: number, notice: Notice): void
    /** Writes account positions that have changed. */
    save(): Promise<void>
  }>

export function createFollowers({
  log,
  watermarks,
  positions,
  logReaders,
  counters,
  logger,
}: FollowersDeps): FollowerHub {
  const byOwner = new Map<number, Set<LogFollower>>()
  const turns = createTurns(logReaders)
  /** By owner and `since`. */
  let changed = new Map<string, Taken>()

  function remove(follower: LogFollower): void {
    const followers = byOwner.get(follower.owner)
    if (followers?.delete(follower)) counters.followers--
    if (followers?.size === 0) byOwner.delete(follower.owner)
  }

  function follow(session: FollowingSession, owner: number, view: View, after: number): Follower {
    const source = view === 'evt' ? watermarks : log
    const follower = new LogFollower({
      session,
      owner,
      view,
      after,
      log: source,
      turns,
      counters,
      logger,
      onClose: remove,
    })
    const followers = byOwner.get(owner)
    if (followers) followers.add(follower)
    else byOwner.set(owner, new Set([follower]))
    counters.followers++
    if (view !== 'err') follower.catchUp()
    return follower
  }

  function each(owner: number, tell: (follower: LogFollower) => void): void {
    for (const follower of byOwner.get(owner) ?? []) tell(follower)
  }

  async function save(): Promise<void> {
    if (changed.size === 0) return
    const saving = changed
    changed = new Map()
    try {
      await positions.savePositions(joined([...saving.values()]))
    } catch (fault) {
      for (const { owner, seq, since } of saving.values()) acknowledged(owner, seq, since)
      throw fault
    }
  }

  function acknowledged(account: number, seq: number, since = 0): void {
    const key = `${account} ${since}`
    if (seq > (changed.get(key)?.seq ?? 0)) changed.set(key, { owner: account, since, seq })
  }

  log.onAppended((entry) =>
    each(entry.owner, (follower) => {
      if (follower.view !== 'evt') follower.offer(entry)
    }),
  )
  watermarks.onAppended((entry) =>
    each(entry.owner, (follower) => {
      if (follower.view === 'evt') follower.offer(entry)
      // What an XMPP client says reaches the others as it said it.
      else if (follower.view === 'chat' && entry.message.body.format === 'json')
        follower.offerLive({ ...entry, seq: 0 })
    }),
  )
  return {
    follow,
    acknowledged,
    head: log.head,
    async backlogStart(account, limit) {
      await save()
      return positions.backlogStart(account, limit)
    },
    live: (entry) => each(entry.owner, (follower) => follower.offerLive(entry)),
    notice: (account, notice) => each(account, (follower) => follower.notice(notice)),
    save,
  }
}

type FollowerOptions = Readonly<{
  session: FollowingSession
  owner: number
  view: View
  after: number
  log: Pick<MessageLog, 'read'>
  turns: Turns
  counters: Pick<Counters, 'liveDropped'>
  logger: Logger
  onClose: (follower: LogFollower) => void
}>

/** `cursor` is the last seq that was delivered or is not part of the view. */
class LogFollower implements Follower {
  readonly owner: number
  readonly view: View
  cursor: number
  private readonly options: FollowerOptions
  private reading = false
  /** Twice what the session took last: what it has no room for is read again. */
  private pageSize = entriesPerRead
  /** The log has grown while it was being read. */
  private missed = false
  /** It was read to its end, and nothing of it was left out since. */
  private caughtUp = false
  private stalled = false
  private closed = false

  constructor(options: FollowerOptions) {
    this.options = options
    this.owner = options.owner
    this.view = options.view
    this.cursor = options.after
  }

  offer(entry: LogEntry): void {
    if (this.closed || this.stalled || this.view === 'err') return
    if (this.reading) this.missed = true
    else if (this.isNext(entry)) this.give(entry)
    else if (entry.seq > this.cursor) this.catchUp()
  }

  /** The numbers of receipts and markers have gaps: whoever has all so far is given what comes. */
  private isNext({ seq }: LogEntry): boolean {
    return this.view === 'evt' ? this.caughtUp && seq > this.cursor : seq === this.cursor + 1
  }

  offerLive(entry: LogEntry): void {
    if (this.closed || !isInView(entry, this.view)) return
    if (!this.options.session.deliver(this, entry)) this.options.counters.liveDropped++
  }

  notice(notice: Notice): void {
    if (this.closed || this.view !== 'err') return
    if (!this.options.session.notice(this, notice)) this.options.counters.liveDropped++
  }

  resume(): void {
    if (!this.stalled) return
    this.stalled = false
    // The read that met the full session is not over: it looks again.
    if (this.reading) this.missed = true
    else this.catchUp()
  }

  close(): void {
    if (this.closed) return
    this.closed = true
    this.options.onClose(this)
  }

  /** Reads the log behind the cursor until its end, or until the session is full. */
  catchUp(): void {
    if (this.reading || this.closed) return
    this.reading = true
    this.caughtUp = false
    void this.readUntilEnd()
      .catch((fault: unknown) => {
        this.options.logger.warn({ err: fault }, 'a log could not be read; trying again')
        setTimeout(() => this.catchUp(), retryMs).unref()
      })
      .finally(() => {
        this.reading = false
        // What came between the last look and now.
        if (this.missed && !this.stalled) this.catchUp()
      })
  }

  private async readUntilEnd(): Promise<void> {
    const { log, turns, owner } = this.options
    for (;;) {
      this.missed = false
      const limit = this.pageSize
      const entries = await turns.run(() => log.read(owner, this.cursor, limit))
      const given = this.giveAll(entries)
      this.pageSize = Math.min(entriesPerRead, Math.max(2, given * 2))
      this.caughtUp = given === entries.length && entries.length < limit && !this.missed
      if (given < entries.length || this.caughtUp) return
    }
  }

  /** Answers how many were taken before the session was full. */
  private giveAll(entries: readonly LogEntry[]): number {
    const refused = entries.findIndex((entry) => this.closed || !this.give(entry))
    return refused < 0 ? entries.length : refused
  }

  /** False: the session is full. */
  private give(entry: LogEntry): boolean {
    if (isInView(entry, this.view) && !isExpired(entry) && !this.options.session.deliver(this, entry)) {
      this.stalled = true
      this.caughtUp = false
      return false
    }
    this.cursor = entry.seq
    return true
  }
}

/** Kinds that have no place on `msg`, `sent` and `text` (the table of DESIGN §2). */
const eventKinds: ReadonlySet<Kind> = new Set(['receipt', 'marker', 'typing', 'presence', 'error'])

function isInView({ owner, seq, message: { from, to, kind } }: LogEntry, view: View): boolean {
  if (view === 'chat') return true
  // Its own log has receipts and markers only; of what is live it shows who types.
  if (view === 'evt') return seq > 0 || (kind === 'typing' && to.id === owner && from.id !== owner)
  if (eventKinds.has(kind)) return false
  switch (view) {
    case 'msg':
      return to.id === owner
    case 'sent':
      return from.id === owner
    case 'text':
      // What others wrote: two echo scripts of one account must not loop (DESIGN §2).
      return to.id === owner && from.id !== owner
    case 'err':
      return false
  }
  return view satisfies never
}

function isExpired({ late, message }: LogEntry): boolean {
  const { ttl } = message.content
  return late && ttl !== undefined && message.ts + ttl * 1000 <= Date.now()
}

/** What overlaps is one: where one device began, another had come. */
function joined(taken: readonly Taken[]): readonly Taken[] {
  const all: Taken[] = []
  for (const next of taken.toSorted((a, b) => a.owner - b.owner || a.since - b.since)) {
    const last = all.at(-1)
    if (last?.owner !== next.owner || last.seq < next.since) all.push(next)
    else all[all.length - 1] = { ...last, seq: Math.max(last.seq, next.seq) }
  }
  return all
}
