// The presence of one MQTT device: a session counts once it follows its own `msg` or has said that it is here (DESIGN §3).
import type { Device, Presence, Show } from '../contacts.ts'
import { BrokerError } from '../errors.ts'
import type { Logger } from '../log.ts'
import { readPresence } from '../presence-payload.ts'
import type { SessionDevice } from '../session-parts.ts'
import type { Party } from '../types.ts'

type Deps = Readonly<{
  presence: Presence
  owner: Party
  /** The name by which others know the device. */
  resource: string
  followsMessages: () => boolean
  logger: Logger
}>

export function createDevicePresence({ presence, owner, resource, followsMessages, logger }: Deps): SessionDevice {
  let current: Device | null = null
  /** It said itself how it is, so what it follows says nothing more. */
  let hasSaid = false

  function set(show: Show, status: string): void {
    // After a takeover the device is another connection's.
    if (show === 'offline' && !(current && presence.devices(owner.id).includes(current))) {
      current = null
      return
    }
    const device: Device = { resource, show, status, priority: 0, since: Date.now() }
    current = show === 'offline' ? null : device
    const told = presence.set(owner, device)
    told?.catch((err: unknown) => logger.warn({ err }, 'contacts were not told of a device'))
  }

  return {
    settle() {
      if (hasSaid || followsMessages() === (current !== null)) return
      set(current === null ? 'available' : 'offline', '')
    },
    say(payload) {
      const said = readPresence(payload)
      if (said instanceof BrokerError) return said
      hasSaid = true
      if (current?.show !== said.show || current.status !== said.status) set(said.show, said.status)
      return null
    },
    end(status) {
      hasSaid = true
      set('offline', status)
    },
  }
}
