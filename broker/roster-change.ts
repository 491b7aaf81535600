// What an account does to its roster, decided on both ends of a subscription at once. Pure.
import type { Verb } from './contacts.ts'
import { inbound, outbound, type SubscriptionState } from './roster-states.ts'
import type { RosterEnd, RosterItem, RosterPair } from './stores.ts'

/** `to` hears the verb of the other end. */
export type Said = Readonly<{ verb: Verb; to: 'own' | 'theirs' }>
export type Decided = Readonly<{ pair: RosterPair; said: readonly Said[] }>

/** Theirs is null when there is no such account: what is said to it is lost without a word. */
export type Ends = Readonly<{ own: RosterEnd; theirs: RosterEnd | null }>

/** `accepts`: their roster has room for one more request. */
export type Saying = Readonly<{ verb: Verb; request: string; accepts: boolean }>

type Item = RosterItem | null

export function stateOf(item: Item): SubscriptionState {
  if (item === null) return 'none'
  const { subscription, ask, request } = item
  if (subscription === 'both') return 'both'
  if (subscription === 'to') return request === null ? 'to' : 'to+in'
  if (subscription === 'from') return ask ? 'from+out' : 'from'
  return `none${ask ? '+out' : ''}${request === null ? '' : '+in'}`
}

/** The owner lets the contact see its presence. */
export function isSeen(item: Item): boolean {
  return item?.subscription === 'from' || item?.subscription === 'both'
}

/** RFC 6121 §2.3, §2.4: a client decides names and groups, and nothing of the subscription. */
export function putItem({ own, theirs }: RosterPair, ends: Ends, how: Pick<RosterItem, 'name' | 'groups'>): RosterPair {
  return { own: { ...(own ?? emptyItem(ends.own)), ...how, contact: ends.own.contact, listed: true }, theirs }
}

/** RFC 6121 §2.5.2: whoever was subscribed, either way, is told that this is over. */
export function removeItem({ own, theirs }: RosterPair, ends: Ends): Decided {
  const said: Said[] = []
  let rest = theirs
  if (ends.theirs !== null && (own?.ask || own?.subscription === 'to' || own?.subscription === 'both')) {
    rest = hear(rest, { verb: 'unsubscribe', to: 'theirs' }, ends.theirs, said)
  }
  if (ends.theirs !== null && (isSeen(own) || (own !== null && own.request !== null))) {
    rest = hear(rest, { verb: 'unsubscribed', to: 'theirs' }, ends.theirs, said)
  }
  return { pair: { own: null, theirs: rest }, said }
}

/** RFC 6121 §3: the owner says `verb`, and their end hears it. */
export function say(pair: RosterPair, ends: Ends, { verb, request, accepts }: Saying): Decided {
  const { passes, to } = outbound[verb][stateOf(pair.own)]
  const said: Said[] = []
  let own = withState(pair.own, to, ends.own)
  let { theirs } = pair
  if (verb === 'subscribed' && !passes) own = approve(own, ends.own)
  if (verb === 'unsubscribed' && own?.approved) own = tidied({ ...own, approved: false })
  if (passes && ends.theirs !== null) {
    if (verb !== 'subscribe') theirs = hear(theirs, { verb, to: 'theirs' }, ends.theirs, said)
    else if (theirs?.approved || isSeen(theirs)) {
      // §A.3.1, notes 1 and 2: granted in advance, or before; their server answers.
      theirs = grant(theirs, ends.theirs)
      own = hear(own, { verb: 'subscribed', to: 'own' }, ends.own, said)
    } else if (accepts) theirs = ask(theirs, ends.theirs, request, said)
  }
  return { pair: { own: kept(pair.own, own), theirs: kept(pair.theirs, theirs) }, said }
}

/** What this end makes of a verb; what passes is delivered. */
function hear(item: Item, what: Said, end: RosterEnd, said: Said[]): Item {
  const { passes, to } = inbound[what.verb][stateOf(item)]
  if (passes) said.push(what)
  return withState(item, to, end)
}

/** §3.1.3: one request is kept, the first; it comes at each login. */
function ask(theirs: Item, end: RosterEnd, request: string, said: Said[]): Item {
  const { passes, to } = inbound.subscribe[stateOf(theirs)]
  if (!passes) return theirs
  said.push({ verb: 'subscribe', to: 'theirs' })
  const asked = withState(theirs, to, end)
  return asked && { ...asked, request }
}

function grant(theirs: Item, end: RosterEnd): Item {
  const { to } = inbound.subscribe[stateOf(theirs)]
  return withState(theirs, outbound.subscribed[to].to, end)
}

/** §3.4.2: in advance, where the contact cannot see the owner yet. */
function approve(own: Item, end: RosterEnd): Item {
  return isSeen(own) ? own : { ...(own ?? emptyItem(end)), approved: true, listed: true }
}

function withState(item: Item, state: SubscriptionState, end: RosterEnd): Item {
  if (item === null && state === 'none') return null
  const known = item ?? emptyItem(end)
  const [subscription, ...pending] = state.split('+') as [RosterItem['subscription'], ...string[]]
  const ask = pending.includes('out')
  const request = pending.includes('in') ? (known.request ?? '') : null
  // Only what a contact asks for does not make it one of the owner's.
  const listed = known.listed || subscription !== 'none' || ask
  return tidied({ ...known, contact: end.contact, subscription, ask, request, listed })
}

/** An item that no client sees is there for a request only. */
function tidied(item: RosterItem): Item {
  return item.listed || item.request !== null ? item : null
}

/** The item as it was, if nothing is different: then nothing is written or pushed. */
function kept(was: Item, is: Item): Item {
  if (was === null || is === null) return is
  const same = (Object.keys(was) as (keyof RosterItem)[]).every((key) => was[key] === is[key])
  return same ? was : is
}

function emptyItem({ address, contact }: RosterEnd): RosterItem {
  return {
    address,
    contact,
    name: '',
    groups: [],
    subscription: 'none',
    ask: false,
    request: null,
    approved: false,
    listed: false,
  }
}
