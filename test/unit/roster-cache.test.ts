// The rosters at hand: what a change teaches, what is read again, and what is let go.
import { describe, expect, it } from 'vitest'
import { createRosterCache } from '../../broker/roster-cache.ts'
import type { RosterItem } from '../../broker/stores.ts'

const item = (contact: number, subscription: RosterItem['subscription'] = 'both'): RosterItem => ({
  address: `n${contact}@x`,
  contact,
  name: '',
  groups: [],
  subscription,
  ask: false,
  request: null,
  approved: false,
  listed: true,
})

/** What one of these rosters takes, about. */
const weight = 2000

function someCache(maxRosters = 10) {
  const reads: number[] = []
  const cache = createRosterCache({
    store: {
      read: async (owner) => {
        reads.push(owner)
        return { version: 3, items: [item(8, 'to'), item(9, 'from')] }
      },
    },
    directory: { party: (id, name) => ({ id, name, address: `${name}@x` }) },
    maxBytes: maxRosters * weight,
  })
  return { cache, reads }
}

describe('a roster at hand', () => {
  it('is read once, and knows who may see its owner', async () => {
    const { cache, reads } = someCache()
    expect(cache.known(1)).toBeUndefined()
    expect((await cache.load(1)).audience).toEqual([{ id: 9, name: 'n9', address: 'n9@x' }])
    expect(await cache.load(1)).toBe(cache.known(1))
    expect(reads).toEqual([1])
  })

  it('follows the next version, and is read again when it missed one', async () => {
    const { cache } = someCache()
    await cache.load(1)
    cache.learn(1, 'n8@x', item(8), 4)
    expect(cache.known(1)?.audience.map(({ id }) => id)).toEqual([9, 8])
    cache.learn(1, 'n9@x', null, 5)
    expect(cache.known(1)?.audience.map(({ id }) => id)).toEqual([8])
    cache.learn(1, 'n9@x', null, 5)
    expect(cache.known(1)?.version).toBe(5)
    cache.learn(1, 'n7@x', item(7), 7)
    expect(cache.known(1)).toBeUndefined()
    cache.learn(2, 'n7@x', item(7), 1)
    expect(cache.known(2)).toBeUndefined()
  })

  it('goes when it is the oldest of too much, or an account in it is deleted', async () => {
    const { cache } = someCache(2)
    for (const owner of [1, 2, 3]) await cache.load(owner)
    expect([1, 2, 3].map((owner) => cache.known(owner) !== undefined)).toEqual([false, true, true])
    cache.forget(3)
    expect([cache.known(2) !== undefined, cache.known(3)]).toEqual([true, undefined])
    cache.forget(9)
    expect(cache.known(2)).toBeUndefined()
  })
})
