// XEP-0198 §5: sessions that may outlive their streams, and those that do.
import { randomBytes } from 'node:crypto'
import type { Authenticator } from '../../broker/types.ts'
import type { Session } from './session.ts'

/** A client that never comes back with its old name must not fill its account's resources. */
const maxPerAccount = 10

export interface Hibernation {
  /** The session may be resumed, at most so long after its stream broke, under the name that this answers. */
  allow(session: Session, seconds: number): string
  /** Only what belongs to this account. */
  find(previd: string, account: number): Session | undefined
  /** It is without a stream from now on. False: it may not outlive one. */
  sleep(session: Session): boolean
  /** It has a stream again. */
  wake(session: Session): void
  forget(session: Session): void
  /** Once a second: ends those that slept too long. */
  sweep(now: number): void
  /** Ends all that sleep. */
  end(): void
}

type Entry = {
  readonly session: Session
  readonly previd: string
  readonly maxMs: number
  sleptAt: number | null
  forgetEnd: () => void
}

type Deps = Readonly<{ authenticator: Pick<Authenticator, 'onEnd'>; close(session: Session): void }>

export function createHibernation({ authenticator, close }: Deps): Hibernation {
  const byName = new Map<string, Entry>()
  const bySession = new Map<Session, Entry>()
  // In the order in which they fell asleep.
  const sleeping = new Set<Entry>()

  function rouse(entry: Entry): void {
    entry.sleptAt = null
    entry.forgetEnd()
    entry.forgetEnd = () => {}
    sleeping.delete(entry)
  }

  function makeRoom(account: number): void {
    const own = [...sleeping].filter(({ session }) => session.principal.account === account)
    const [oldest] = own
    if (oldest !== undefined && own.length >= maxPerAccount) close(oldest.session)
  }

  return {
    allow(session, seconds) {
      const previd = randomBytes(18).toString('base64url')
      const entry: Entry = { session, previd, maxMs: seconds * 1000, sleptAt: null, forgetEnd: () => {} }
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
      makeRoom(session.principal.account)
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
      for (const { session, sleptAt, maxMs } of [...sleeping]) {
        if (sleptAt !== null && now - sleptAt > maxMs) close(session)
      }
    },
    end() {
      for (const { session } of [...sleeping]) close(session)
    },
  }
}
