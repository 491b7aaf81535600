// What clients are to be told of a change of both ends of a subscription, in order. Pure.
import type { ContactEvent, Verb } from './contacts.ts'
import type { Directory } from './directory.ts'
import { isSeen, type Said } from './roster-change.ts'
import type { DeletedAccount, FormerContact, RosterChanged, RosterItem } from './stores.ts'
import type { Party } from './types.ts'

/** Who deals with whom. `peer`: the contact's account; null: there is none on this server. */
export type Dealing = Readonly<{ owner: Party; peer: Party | null; address: string; request: string }>

/** RFC 6121 §3.1.6: the stanza, then the push, then presence. */
export function eventsOf(changed: RosterChanged, said: readonly Said[], dealing: Dealing): readonly ContactEvent[] {
  const { before, after, versions } = changed
  const { owner, peer, address } = dealing
  const own = itemEvent(before.own, after.own, { owner, address, version: versions.own })
  if (peer === null) return own
  const ends = { owner: peer, address: owner.address, version: versions.theirs }
  return [
    ...said.map((one) => saidEvent(one, dealing, peer)),
    ...itemEvent(before.theirs, after.theirs, ends),
    ...own,
    ...rightEvent(isSeen(before.own), isSeen(after.own), { viewer: peer, of: owner }),
    ...rightEvent(isSeen(before.theirs), isSeen(after.theirs), { viewer: owner, of: peer }),
  ]
}

function saidEvent({ verb, to }: Said, { owner, request }: Dealing, peer: Party): ContactEvent {
  const [from, hearer] = to === 'own' ? [peer, owner] : [owner, peer]
  return { what: 'said', verb, from, to: hearer, request: verb === 'subscribe' ? request : '' }
}

type Place = Readonly<{ owner: Party; address: string; version: number }>

/** Clients see only what is listed: a new request alone is no push (RFC 6121 §3.1.3). */
function itemEvent(was: RosterItem | null, is: RosterItem | null, place: Place): readonly ContactEvent[] {
  const wasListed = was?.listed === true
  const item = is?.listed === true ? is : null
  if (!wasListed && item === null) return []
  if (wasListed && item !== null && looksTheSame(was, item)) return []
  return [{ what: 'item', ...place, item }]
}

const shown = ['name', 'groups', 'subscription', 'ask', 'approved'] as const

function looksTheSame(was: RosterItem, is: RosterItem): boolean {
  return shown.every((key) => was[key] === is[key])
}

type Right = Readonly<{ viewer: Party; of: Party }>

function rightEvent(was: boolean, is: boolean, right: Right): readonly ContactEvent[] {
  return was === is ? [] : [{ what: 'right', ...right, granted: is }]
}

/** RFC 6121 §2.1.6, §3: what those hear who had an account in their rosters that was deleted. */
export function* farewellOf(
  { account, name, contacts }: DeletedAccount,
  directory: Pick<Directory, 'party'>,
): Iterable<ContactEvent> {
  const gone = directory.party(account, name)
  for (const contact of contacts) {
    const owner = directory.party(contact.id, contact.name)
    for (const verb of farewells[contact.subscription]) {
      yield { what: 'said', verb, from: gone, to: owner, request: '' }
    }
    yield { what: 'stale', owner, address: gone.address }
    if (farewells[contact.subscription].includes('unsubscribed')) {
      yield { what: 'right', viewer: owner, of: gone, granted: false }
    }
  }
}

const farewells: Readonly<Record<FormerContact['subscription'], readonly Verb[]>> = {
  none: [],
  to: ['unsubscribed'],
  from: ['unsubscribe'],
  both: ['unsubscribe', 'unsubscribed'],
}
