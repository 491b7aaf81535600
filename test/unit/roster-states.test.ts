// RFC 6121 Appendix A: every cell of both tables, and what both ends make of a verb together.
import { describe, expect, it } from 'vitest'
import type { Verb } from '../../broker/contacts.ts'
import { type Ends, isSeen, putItem, removeItem, say, stateOf } from '../../broker/roster-change.ts'
import { inbound, outbound, type SubscriptionState } from '../../broker/roster-states.ts'
import type { RosterItem, RosterPair } from '../../broker/stores.ts'
import { inboundCells, outboundCells } from '../vectors/roster-states.ts'

const verbs: readonly Verb[] = ['subscribe', 'unsubscribe', 'subscribed', 'unsubscribed']
const cellsOf = (text: string) =>
  text.split(/[|\n]/).flatMap((cell) => (cell.trim() === '' ? [] : [cell.trim().split(' ')]))

describe.each([
  ['§A.2, outbound', outbound, outboundCells],
  ['§A.3, inbound', inbound, inboundCells],
] as const)('%s', (_section, table, cells) => {
  it.each(verbs)('%s leads from each state to the one in the table', (verb) => {
    const rows = cellsOf(cells[verb])
    expect(rows).toHaveLength(9)
    for (const [state, passes, to] of rows) {
      expect([state, table[verb][state as SubscriptionState]]).toEqual([state, { passes: passes === '+', to }])
    }
  })
})

const ends: Ends = {
  own: { owner: 1, address: 'bob@x', contact: 2 },
  theirs: { owner: 2, address: 'alice@x', contact: 1 },
}
const states = Object.keys(outbound.subscribe) as SubscriptionState[]

function itemOf(state: SubscriptionState, of: 'own' | 'theirs', fields: Partial<RosterItem> = {}): RosterItem {
  const [subscription, ...pending] = state.split('+') as [RosterItem['subscription'], ...string[]]
  return {
    address: of === 'own' ? 'bob@x' : 'alice@x',
    contact: of === 'own' ? 2 : 1,
    name: 'a name',
    groups: ['a group'],
    subscription,
    ask: pending.includes('out'),
    request: pending.includes('in') ? '<status/>' : null,
    approved: false,
    listed: true,
    ...fields,
  }
}

/** The other end of a state, when nothing was lost between them. */
const mirror: Readonly<Record<SubscriptionState, SubscriptionState>> = {
  none: 'none',
  'none+out': 'none+in',
  'none+in': 'none+out',
  'none+out+in': 'none+out+in',
  to: 'from',
  'to+in': 'from+out',
  from: 'to',
  'from+out': 'to+in',
  both: 'both',
}

const pairOf = (state: SubscriptionState): RosterPair => ({
  own: itemOf(state, 'own'),
  theirs: itemOf(mirror[state], 'theirs'),
})
const saying = (verb: Verb, accepts = true) => ({ verb, request: '<status>please</status>', accepts })

describe('both ends of a subscription', () => {
  it.each(verbs)('agree after %s, in whatever state they were', (verb) => {
    for (const state of states) {
      const { pair, said } = say(pairOf(state), ends, saying(verb))
      expect([state, stateOf(pair.theirs)]).toEqual([state, mirror[stateOf(pair.own)]])
      const { passes } = outbound[verb][state]
      const isHeard = passes && inbound[verb][mirror[state]].passes
      expect([state, said.some((one) => one.verb === verb && one.to === 'theirs')]).toEqual([state, isHeard])
      expect(pair.own).toMatchObject({ name: 'a name', groups: ['a group'] })
    }
  })

  it('agree after a removal, which tells whoever is concerned (§2.5.2)', () => {
    for (const state of states) {
      const { pair, said } = removeItem(pairOf(state), ends)
      expect(pair.own).toBeNull()
      expect([state, stateOf(pair.theirs)]).toEqual([state, 'none'])
      const expected = new Set<Verb>()
      if (['none+out', 'none+out+in', 'to', 'to+in', 'from+out', 'both'].includes(state)) expected.add('unsubscribe')
      if (['none+in', 'none+out+in', 'to+in', 'from', 'from+out', 'both'].includes(state)) expected.add('unsubscribed')
      expect([state, new Set(said.map(({ verb }) => verb))]).toEqual([state, expected])
    }
  })

  it('write nothing that is as it was', () => {
    for (const state of states) {
      const pair = pairOf(state)
      for (const verb of verbs) {
        const after = say(pair, ends, saying(verb)).pair
        if (stateOf(after.own) === state && !after.own?.approved) expect(after.own).toBe(pair.own)
        if (stateOf(after.theirs) === mirror[state]) expect(after.theirs).toBe(pair.theirs)
      }
    }
  })
})

describe('a request', () => {
  const asked = say({ own: null, theirs: null }, ends, saying('subscribe')).pair

  it('makes an item of the asker’s, and one that its receiver is not shown (§3.1.2, §3.1.3)', () => {
    expect(asked.own).toMatchObject({ ask: true, listed: true, request: null, contact: 2 })
    expect(asked.theirs).toMatchObject({ listed: false, request: '<status>please</status>', contact: 1 })
  })

  it('leaves nothing when it is refused or taken back', () => {
    const theirEnd = { own: ends.theirs ?? ends.own, theirs: ends.own }
    const refused = say({ own: asked.theirs, theirs: asked.own }, theirEnd, saying('unsubscribed'))
    expect(refused.pair).toMatchObject({ own: null, theirs: { ask: false, listed: true } })
    expect(say(asked, ends, saying('unsubscribe')).pair).toMatchObject({ own: { ask: false }, theirs: null })
  })

  it('repeated is not told again, and the first words stay', () => {
    const again = say(asked, ends, { verb: 'subscribe', request: 'other words', accepts: true })
    expect(again).toEqual({ pair: asked, said: [] })
  })

  it('is lost where there is no room or no account', () => {
    expect(say({ own: null, theirs: null }, ends, saying('subscribe', false)).pair.theirs).toBeNull()
    const alone = say({ own: null, theirs: null }, { ...ends, theirs: null }, saying('subscribe'))
    expect(alone).toMatchObject({ pair: { own: { ask: true }, theirs: null }, said: [] })
  })

  it('is granted at once when it was approved in advance, or is granted already (§3.4.2, §A.3.1)', () => {
    for (const theirs of [itemOf('none', 'theirs', { approved: true }), itemOf('from', 'theirs')]) {
      const { pair, said } = say({ own: null, theirs }, ends, saying('subscribe'))
      expect([stateOf(pair.own), stateOf(pair.theirs)]).toEqual(['to', 'from'])
      expect(said).toEqual([{ verb: 'subscribed', to: 'own' }])
    }
  })
})

describe('an approval in advance', () => {
  it('is kept where the contact cannot see the owner, and taken back by a refusal (§3.4)', () => {
    for (const state of ['none', 'none+out', 'to'] as const) {
      const { pair, said } = say(pairOf(state), ends, saying('subscribed'))
      expect(pair.own).toMatchObject({ approved: true, listed: true })
      expect(said).toEqual([])
      expect(say(pair, ends, saying('unsubscribed')).pair.own?.approved).toBe(false)
    }
    for (const state of ['from', 'from+out', 'both'] as const) {
      expect(say(pairOf(state), ends, saying('subscribed')).pair.own?.approved).toBe(false)
    }
  })
})

it('a client decides names and groups, and nothing of the subscription (§2.3.2)', () => {
  const how = { name: 'Bobby', groups: ['Work'] }
  for (const state of states) {
    const { own, theirs } = putItem(pairOf(state), ends, how)
    expect([stateOf(own), stateOf(theirs)]).toEqual([state, mirror[state]])
    expect(own).toMatchObject(how)
  }
  expect(putItem({ own: null, theirs: null }, ends, how).own).toMatchObject({ ...how, listed: true, contact: 2 })
})

it('who is subscribed sees the owner', () => {
  expect(states.filter((state) => isSeen(itemOf(state, 'own')))).toEqual(['from', 'from+out', 'both'])
  expect(isSeen(null)).toBe(false)
})
