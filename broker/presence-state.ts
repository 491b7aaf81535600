// The devices that are here, and the most available one of an account. Pure but for its own memory.
import type { Device, Show, Status } from './contacts.ts'

export type PresenceState = Readonly<{
  /** False: it says nothing new, because the device was not here anyway. */
  put(account: number, device: Device): boolean
  devices(account: number): readonly Device[]
  status(account: number): Status
}>

/** `maxRemembered`: accounts of which it is kept when they left. */
export function createPresenceState(maxRemembered: number): PresenceState {
  const here = new Map<number, Map<string, Device>>()
  const gone = new Map<number, Status>()

  function remember(account: number, last: Status): void {
    gone.delete(account)
    const [oldest] = gone.keys()
    if (oldest !== undefined && gone.size >= maxRemembered) gone.delete(oldest)
    gone.set(account, last)
  }

  return {
    put(account, device) {
      const devices = here.get(account) ?? new Map<string, Device>()
      if (device.show !== 'offline') {
        here.set(account, devices.set(device.resource, device))
        return true
      }
      if (!devices.delete(device.resource)) return false
      if (devices.size === 0) {
        here.delete(account)
        remember(account, device)
      }
      return true
    },
    devices: (account) => [...(here.get(account)?.values() ?? [])],
    status(account) {
      const devices = here.get(account)
      if (devices === undefined) return gone.get(account) ?? unknown
      return [...devices.values()].reduce((best, device) => (isMoreAvailable(device, best) ? device : best))
    },
  }
}

const unknown: Status = Object.freeze({ show: 'offline', status: '', since: 0 })

/** Busy is nearer than away: who does not want to be disturbed is there. */
const rank: Readonly<Record<Show, number>> = { chat: 5, available: 4, dnd: 3, away: 2, xa: 1, offline: 0 }

/** By what they say, then by priority, then the one that spoke last. */
function isMoreAvailable(a: Device, b: Device): boolean {
  if (a.show !== b.show) return rank[a.show] > rank[b.show]
  if (a.priority !== b.priority) return a.priority > b.priority
  return a.since >= b.since
}
