// All MQTT sessions of this node: opening, taking over, leaving, expiring, and writing their state behind.
import { BrokerError } from './errors.ts'
import type { Limits } from './limits.ts'
import type { Logger } from './log.ts'
import type { Counters } from './metrics.ts'
import type { Queue } from './queue.ts'
import type { QueueCursor } from './queue-cursor.ts'
import { ReceivedPackets } from './received-packets.ts'
import type { Redistribution } from './redistribution.ts'
import type { Router } from './router.ts'
import { type ReadOn, Session, sessionKey } from './session.ts'
import { restoreQueue, toState } from './session-state.ts'
import {
  type QueueStore,
  type SessionStore,
  type StoredSession,
  type StoredSubscription,
  type StoredWill,
  TransientStoreError,
} from './stores.ts'
import type { Transport } from './transport.ts'
import type { Principal } from './types.ts'
import type { Wills } from './wills.ts'

/** Session expiry that never ends [MQTT-3.1.2.11.2]. */
export const neverExpires = 0xffffffff
const takenOver = 0x8e
/** The session ended, or belongs to another connection, while it was being changed. */
export class SessionEnded extends Error {}

/** A full queue is cut to this part of its limit, so that it is not cut at every message. */
const trimTo = 0.95

export type OpenOptions = Readonly<{ clean: boolean; expiryInterval: number; will: StoredWill | null }>

export type SessionsDeps = Readonly<{
  store: SessionStore
  queues: QueueStore
  router: Router
  queue: Queue
  wills: Wills
  redistribution: Redistribution
  readOn: ReadOn
  limits: Limits
  counters: Counters
  logger: Logger
  /** Gives a session that is read from the store its streams back. */
  restoreStreams: (
    session: Session,
    subscriptions: readonly StoredSubscription[],
    places: Pick<StoredSession, 'streamSent' | 'eventPosition'>,
  ) => void
  /** Tells the account that its queue overflowed. */
  onOverflow: (session: Session, dropped: number) => void
}>

export type Sessions = Readonly<{
  load(): Promise<void>
  /** Opens or resumes; an older connection of the same session is closed first with 0x8E. @throws BrokerError quota */
  open(
    principal: Principal,
    clientId: string,
    options: OpenOptions,
    owner: Transport,
  ): Promise<Readonly<{ session: Session; present: boolean }>>
  /** The connection is gone. A session with expiry 0 ends. The Will is due, unless the client said good-bye. */
  leave(session: Session, owner: Transport, how: 'lost' | 'good-bye'): Promise<void>
  subscribe(session: Session, subscription: StoredSubscription): void
  /** @throws SessionEnded when it has ended */
  demand(session: Session): void
  unsubscribe(session: Session, filter: string): void
  /** Persists subscriptions of a persistent session, before they are acknowledged. @throws SessionEnded */
  keepSubscriptions(session: Session, added: readonly StoredSubscription[], removed: readonly string[]): Promise<void>
  /** The account was deleted: so are its sessions. */
  endOf(account: number): void
  /** Once per second: ends expired sessions, sends Wills that are due, trims full queues. */
  sweep(): void
  /** Writes what has changed. */
  save(): Promise<void>
  /** Resolves when all sessions that end have ended, and all Wills that are on their way are settled. */
  drained(): Promise<void>
  all(): Iterable<Session>
  /** A connection has this session. */
  isConnected(account: number, clientId: string): boolean
  count(): number
}>

export function createSessions(deps: SessionsDeps): Sessions {
  const { store, queues, router, redistribution, wills, limits, logger } = deps
  const byKey = new Map<string, Session>()
  const byId = new Map<number, Session>()
  /** Account → sessions in the store. */
  const keptOf = new Map<number, number>()
  const opening = new Map<string, Promise<unknown>>()
  const trimming = new Set<Session>()
  const ending = new Set<Promise<void>>()
  /** Of the last session of a key that ends: the next one takes its place in the store. */
  const endingOf = new Map<string, Promise<void>>()

  function register(session: Session): void {
    byKey.set(sessionKey(session.account, session.clientId), session)
    if (session.id === 0) return
    byId.set(session.id, session)
    keptOf.set(session.account, (keptOf.get(session.account) ?? 0) + 1)
  }

  function forget(session: Session): void {
    for (const filter of session.subscriptions.keys()) router.remove(session, filter)
    session.drop()
    const key = sessionKey(session.account, session.clientId)
    if (byKey.get(key) === session) byKey.delete(key)
    if (!byId.delete(session.id)) return
    const left = (keptOf.get(session.account) ?? 0) - 1
    if (left > 0) keptOf.set(session.account, left)
    else keptOf.delete(session.account)
  }

  function end(session: Session): Promise<void> {
    const { groups } = session
    const inFlight = session.sharedInFlight()
    forget(session)
    if (!session.persistent && groups.length > 0) redistribution.endedClean(inFlight, groups)
    const key = sessionKey(session.account, session.clientId)
    const done = endForgotten(session).finally(() => {
      ending.delete(done)
      if (endingOf.get(key) === done) endingOf.delete(key)
    })
    ending.add(done)
    endingOf.set(key, done)
    return done
  }

  async function endForgotten(session: Session): Promise<void> {
    // What could not be sent goes out at the next start.
    const isDone = await wills.end(session)
    await redistribution.ended(session)
    if (isDone && session.id > 0) await store.remove([session.id])
  }

  /** Only the connection that has the session can leave it. */
  async function leave(session: Session, owner: Transport, how: 'lost' | 'good-bye'): Promise<void> {
    if (session.owner !== owner) return
    session.detach()
    if (how === 'good-bye') wills.discard(session)
    if (session.expiryInterval === 0) await end(session)
    else {
      wills.lost(session)
      redistribution.lost(session)
    }
  }

  function restore(stored: StoredSession): void {
    const session = new Session(deps, stored)
    if (session.queue !== null) restoreQueue(session.queue, stored)
    session.received = new ReceivedPackets(stored.received)
    session.renewPacketIds()
    session.disconnectedAt = stored.disconnectedAt ?? Date.now()
    session.dirty = stored.disconnectedAt === null
    session.will = stored.will
    // Counted from now: nobody could come back while the broker was away.
    if (stored.will !== null) session.willDueAt = Date.now() + stored.will.delay * 1000
    for (const subscription of stored.subscriptions)
      if (subscription.position === null) addSubscription(session, subscription)
    const streams = stored.subscriptions.filter(({ position }) => position !== null)
    if (streams.length > 0) deps.restoreStreams(session, streams, stored)
    register(session)
  }

  function addSubscription(session: Session, { filter, position, ...options }: StoredSubscription): void {
    session.subscriptions.set(filter, options)
    router.add(session, filter, options)
  }

  function hasExpired(session: Session): boolean {
    if (session.owner !== null || session.disconnectedAt === null || session.expiryInterval === neverExpires)
      return false
    return session.disconnectedAt + session.expiryInterval * 1000 <= Date.now()
  }

  async function openNow(principal: Principal, clientId: string, options: OpenOptions, owner: Transport) {
    const key = sessionKey(principal.account, clientId)
    const existing = byKey.get(key)
    const before = existing?.owner
    if (existing && before) {
      const left = leave(existing, before, 'lost') // MQTT 5 §3.1.4, after [MQTT-3.1.4-3]: its Will is due
      // At once: whatever it still waits for changes nothing any more.
      before.close(takenOver)
      await left
    }
    // Leaving ended it when it had expiry 0.
    const kept = byKey.get(key)
    if (!kept || options.clean || hasExpired(kept)) {
      if (kept) await end(kept)
      else await endingOf.get(key)
      return { session: await create(principal, clientId, options, owner), present: false }
    }
    // The next one takes its place in the store.
    if (!(await wills.sent(kept))) throw new TransientStoreError('the Will of the connection before could not be sent')
    await resume(kept, options, owner)
    return { session: kept, present: true }
  }

  async function resume(session: Session, { expiryInterval, will }: OpenOptions, owner: Transport): Promise<void> {
    const { account, clientId } = session
    // From here on it cannot expire, and an earlier Will is not sent [MQTT-3.1.3-9].
    session.owner = owner
    try {
      const { epoch } = await store.open({ account, clientId, expiryInterval, clean: false, will })
      session.epoch = epoch
    } catch (fault) {
      session.owner = null
      throw fault
    }
    session.expiryInterval = expiryInterval
    session.will = will
    session.willDueAt = null
    // A write that was under way with the epoch before has changed nothing.
    session.dirty = true
  }

  /** Anonymous clients share no account. */
  function demandPlace(account: number): void {
    if (account === 0 || (keptOf.get(account) ?? 0) < limits.sessionsPerAccount) return
    deps.counters.limitSessions++
    throw new BrokerError('quota', 'This account has too many sessions.')
  }

  async function create(
    principal: Principal,
    clientId: string,
    { expiryInterval, will }: OpenOptions,
    owner: Transport,
  ): Promise<Session> {
    const { account, name } = principal
    if (expiryInterval > 0) demandPlace(account)
    const opening = { account, clientId, expiryInterval, clean: true, will }
    const stored = expiryInterval > 0 ? await store.open(opening) : { id: 0, epoch: 0 }
    const session = new Session(deps, { account, accountName: name, clientId, ...stored, expiryInterval })
    session.owner = owner
    session.will = will
    register(session)
    return session
  }

  async function trim(session: Session, queue: QueueCursor): Promise<void> {
    const byBytes = queue.messages * (limits.queueBytes / Math.max(queue.bytes, 1))
    const keep = Math.floor(Math.min(limits.queueMessages, queue.messages, byBytes) * trimTo)
    // What was acknowledged is not dropped.
    await store.save([toState(session)])
    const { head, dropped, droppedBytes } = await queues.trim(session.id, keep, limits.sendWindow)
    queue.drop(head, dropped, droppedBytes)
    session.dirty = true
    deps.counters.queueDropped += dropped
    if (dropped > 0) deps.onOverflow(session, dropped)
  }

  function trimWhenFull(session: Session, queue: QueueCursor): void {
    const isFull = queue.messages > limits.queueMessages || queue.bytes > limits.queueBytes
    if (!isFull || trimming.has(session)) return
    trimming.add(session)
    trim(session, queue)
      .catch((fault: unknown) => logger.warn({ err: fault }, 'a full queue could not be trimmed'))
      .finally(() => trimming.delete(session))
  }

  function endOf(account: number): void {
    for (const session of byKey.values()) {
      if (session.account !== account) continue
      end(session).catch((fault: unknown) =>
        logger.warn({ err: fault }, 'a session of a deleted account stays for now'),
      )
    }
  }

  function sweep(): void {
    for (const session of byKey.values()) {
      if (hasExpired(session)) {
        deps.counters.sessionsExpired++
        end(session).catch((fault: unknown) => logger.warn({ err: fault }, 'an expired session stays for now'))
        continue
      }
      wills.sendWhenDue(session)
      if (session.transport === null) redistribution.lost(session)
      if (session.queue !== null) trimWhenFull(session, session.queue)
    }
  }

  async function save(): Promise<void> {
    await wills.save()
    const dirty = [...byId.values()].filter((session) => session.dirty)
    if (dirty.length === 0) return
    const states = dirty.map(toState)
    const completed = new Map(dirty.map((session) => [session.id, session.completedIds()]))
    for (const session of dirty) session.dirty = false
    try {
      for (const id of await store.save(states)) byId.get(id)?.saved(completed.get(id) ?? [])
      await queues.acknowledge(new Map(states.map(({ id, head }) => [id, head])))
    } catch (fault) {
      for (const session of dirty) session.dirty = true
      throw fault
    }
  }

  deps.queue.onBatch((ids, committedUpTo) => {
    for (const id of ids) byId.get(id)?.committed(committedUpTo)
  })

  return {
    async load() {
      for (const stored of await store.all()) restore(stored)
    },
    async open(principal, clientId, options, owner) {
      const key = sessionKey(principal.account, clientId)
      const before = opening.get(key)
      const turn = (before ?? Promise.resolve())
        .catch(() => undefined)
        .then(() => openNow(principal, clientId, options, owner))
      opening.set(key, turn)
      try {
        return await turn
      } finally {
        if (opening.get(key) === turn) opening.delete(key)
      }
    },
    leave,
    subscribe: addSubscription,
    demand(session) {
      if (byKey.get(sessionKey(session.account, session.clientId)) !== session) throw new SessionEnded()
    },
    unsubscribe(session, filter) {
      if (!session.subscriptions.delete(filter)) return
      router.remove(session, filter)
      redistribution.left(session, filter)
    },
    async keepSubscriptions(session, added, removed) {
      if (!session.persistent) return
      const kept =
        (removed.length === 0 || (await store.unsubscribe(session.id, session.epoch, removed))) &&
        (added.length === 0 || (await store.subscribe(session.id, session.epoch, added)))
      if (!kept) throw new SessionEnded()
    },
    endOf,
    sweep,
    save,
    async drained() {
      await Promise.allSettled(ending)
      await wills.drained()
    },
    all: () => byKey.values(),
    isConnected: (account, clientId) => (byKey.get(sessionKey(account, clientId))?.owner ?? null) !== null,
    count: () => byKey.size,
  }
}
