// The bound resources of this node, by account.
import type { Session } from './session.ts'

export interface BoundResources {
  of(account: string): readonly Session[]
  find(account: string, resource: string): Session | undefined
  add(session: Session): void
  /** False: it was not there (any more). */
  remove(session: Session): boolean
}

export function createResources(): BoundResources {
  const accounts = new Map<string, Map<string, Session>>()
  return {
    of: (account) => [...(accounts.get(account)?.values() ?? [])],
    find: (account, resource) => accounts.get(account)?.get(resource),
    add(session) {
      const { local, resource } = session.jid
      const own = accounts.get(local) ?? new Map<string, Session>()
      accounts.set(local, own.set(resource, session))
    },
    remove(session) {
      const { local, resource } = session.jid
      const own = accounts.get(local)
      if (own?.get(resource) !== session) return false
      own.delete(resource)
      if (own.size === 0) accounts.delete(local)
      return true
    },
  }
}
