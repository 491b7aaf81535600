// Presence: who is here with what, and who is told. The state of this node; lost with it, as its connections are.
import type { Device, Presence, PresenceBorder, Rosters, Status } from './contacts.ts'
import type { Directory } from './directory.ts'
import { createKeyedTurns } from './keyed-turns.ts'
import { createPresenceState } from './presence-state.ts'
import { nameOf } from './roster-cache.ts'
import type { Party } from './types.ts'

export type PresenceDeps = Readonly<{ rosters: Rosters; directory: Pick<Directory, 'party'> }>

const maxRemembered = 100_000

/** `status`: the most available device now; null: it says what it said before. */
type Told = Readonly<{ device: Device; status: Status | null }>

export function createPresence({ rosters, directory }: PresenceDeps): Presence {
  const state = createPresenceState(maxRemembered)
  const borders: PresenceBorder[] = []
  const inOrder = createInOrder()

  function tell(from: Party, { device, status }: Told, audience: readonly Party[]): void {
    for (const border of borders) {
      border.device(from, device, audience)
      if (status !== null) border.status(from, status, audience)
    }
  }

  async function contacts(viewer: Party): Promise<readonly Party[]> {
    const { items } = await rosters.read(viewer.id)
    return items.flatMap(({ contact, address, subscription }) =>
      contact !== null && (subscription === 'to' || subscription === 'both')
        ? [directory.party(contact, nameOf(address))]
        : [],
    )
  }

  rosters.onEvent((event) => {
    if (event.what !== 'right') return
    for (const border of borders) border.right(event.viewer, event.of, event.granted)
  })

  return {
    set(owner, device): void | Promise<void> {
      const before = state.status(owner.id)
      if (!state.put(owner.id, device)) return
      const after = state.status(owner.id)
      const isSame = before.show === after.show && before.status === after.status
      const told = { device, status: isSame ? null : after }
      return inOrder(
        owner.id,
        () => rosters.audience(owner),
        (audience) => tell(owner, told, audience),
      )
    },
    devices: state.devices,
    status: state.status,
    contacts,
    async visible(viewer, name) {
      if (name === viewer.name) return viewer
      return (await contacts(viewer)).find((contact) => contact.name === name) ?? null
    },
    join: (border) => void borders.push(border),
  }
}

/** At once when the audience is at hand and nobody waits; else behind those that wait, so that the last word stays the last. */
function createInOrder() {
  const turns = createKeyedTurns<number>()
  const waiting = new Map<number, number>()

  async function later<Asked>(account: number, ask: () => Asked | Promise<Asked>, tell: (asked: Asked) => void) {
    waiting.set(account, (waiting.get(account) ?? 0) + 1)
    try {
      await turns.run([account], async () => tell(await ask()))
    } finally {
      const left = (waiting.get(account) ?? 1) - 1
      if (left > 0) waiting.set(account, left)
      else waiting.delete(account)
    }
  }

  return <Asked>(
    account: number,
    ask: () => Asked | Promise<Asked>,
    tell: (asked: Asked) => void,
  ): void | Promise<void> => {
    if (waiting.has(account)) return later(account, ask, tell)
    const asked = ask()
    return asked instanceof Promise ? later(account, () => asked, tell) : tell(asked)
  }
}
