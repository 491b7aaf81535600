// XEP-0198 §5: sessions that may outlive their streams, and those that do.
import { randomBytes } from 'node:crypto'
import type { Authenticator } from '../../broker/types.ts'
import type { Session } from './session.ts'

/** A client that never comes back with its old name must not fill its account's resources. */
const maxPerAccount = 10

/** Of all that sleep on a node; `chars` are what they are kept until they come back. The oldest end first. */
type Limits = Readonly<{ sessions: number; chars: number }>
const defaultLimits: Limits = { sessions: 20_000, chars: 128 * 1024 * 1024 }

type Sleeper = Pick<Session, 'principal' | 'detach'> & Readonly<{ acks: Pick<Session['acks'], 'chars'> }>

export interface Hibernation<S extends Sleeper = Session> {
  /** The session may be resumed, at most so long after its stream broke, under the name that this answers. */
  allow(session: S, seconds: number): string
  /** Only what belongs to this account. */
  find(previd: string, account: number): S | undefined
  /** It is without a stream from now on. False: it may not outlive one. */
  sleep(session: S): boolean
  /** It has a stream again. */
  wake(session: S): void
  forget(session: S): void
  /** Once a second: ends those that slept too long, and the oldest of those that hold too much together. */
  sweep(now: number): void
  /** Ends all that sleep. */
  end(): void
}

type Entry<S> = {
  readonly session: S
  readonly previd: string
  readonly maxMs: number
  sleptAt: number | null
  forgetEnd: () => void
}

type Deps<S> = Readonly<{
  authenticator: Pick<Authenticator, 'onEnd'>
  /** It is forgotten before this returns. */
  close(session: S): void
  limits?: Limits
}>

export function createHibernation<S extends Sleeper>({
  authenticator,
  close,
  limits = defaultLimits,
}: Deps<S>): Hibernation<S> {
  const byName = new Map<string, Entry<S>>()
  const bySession = new Map<S, Entry<S>>()
  // In the order in which they fell asleep: all, and those of an account.
  const sleeping = new Set<Entry<S>>()
  const byAccount = new Map<number, Set<Entry<S>>>()

  function rouse(entry: Entry<S>): void {
    entry.sleptAt = null
    entry.forgetEnd()
    entry.forgetEnd = () => {}
    if (!sleeping.delete(entry)) return
    const { account } = entry.session.principal
    const own = byAccount.get(account)
    own?.delete(entry)
    if (own?.size === 0) byAccount.delete(account)
  }

  /** Ends the oldest until there is a place more. */
  function makeRoom(entries: ReadonlySet<Entry<S>>, places: number): void {
    for (const { session } of entries) {
      if (entries.size < places) return
      close(session)
    }
  }

  function endOldest(): void {
    let chars = 0
    for (const { session } of sleeping) chars += session.acks.chars
    for (const { session } of sleeping) {
      if (chars <= limits.chars) return
      chars -= session.acks.chars
      close(session)
    }
  }

  return {
    allow(session, seconds) {
      const previd = randomBytes(18).toString('base64url')
      const entry: Entry<S> = { session, previd, maxMs: seconds * 1000, sleptAt: null, forgetEnd: () => {} }
      byName.set(previd, entry)
      bySession.set(session, entry)
      return previd
    },
    find(previd, account) {
      const session = byName.get(previd)?.session
      return session?.principal.account === account ? session : undefined
    },
    sleep(session) {
      const entry = bySession.get(session)
      if (entry === undefined) return false
      session.detach()
      const { account } = session.principal
      const own = byAccount.get(account) ?? new Set<Entry<S>>()
      makeRoom(own, maxPerAccount)
      makeRoom(sleeping, limits.sessions)
      byAccount.set(account, own.add(entry))
      entry.sleptAt = performance.now()
      entry.forgetEnd = authenticator.onEnd(session.principal, () => close(session))
      sleeping.add(entry)
      return true
    },
    wake(session) {
      const entry = bySession.get(session)
      if (entry !== undefined) rouse(entry)
    },
    forget(session) {
      const entry = bySession.get(session)
      if (entry === undefined) return
      rouse(entry)
      bySession.delete(session)
      byName.delete(entry.previd)
    },
    sweep(now) {
      for (const { session, sleptAt, maxMs } of sleeping) {
        if (sleptAt !== null && now - sleptAt > maxMs) close(session)
      }
      endOldest()
    },
    end() {
      for (const { session } of sleeping) close(session)
    },
  }
}
