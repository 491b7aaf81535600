// Presence: the most available device, who is told, and in what order.
import { describe, expect, it } from 'vitest'
import type { ContactEvent, Device, PresenceBorder, Rosters, Show } from '../../broker/contacts.ts'
import { BrokerError } from '../../broker/errors.ts'
import { createPresence } from '../../broker/presence.ts'
import { presenceJson, readPresence } from '../../broker/presence-payload.ts'
import { createPresenceState } from '../../broker/presence-state.ts'
import type { Party } from '../../broker/types.ts'

const partyOf = (id: number): Party => ({ id, name: `n${id}`, address: `n${id}@x` })
const device = (resource: string, show: Show, more: Partial<Device> = {}): Device => ({
  resource,
  show,
  status: '',
  priority: 0,
  since: 1,
  ...more,
})

describe('the most available device', () => {
  it.each([
    ['what it says counts first', [device('a', 'away', { priority: 9 }), device('b', 'dnd', { priority: -1 })], 'dnd'],
    ['free for chat is more than available', [device('a', 'available'), device('b', 'chat')], 'chat'],
    ['away is more than away for long', [device('a', 'xa'), device('b', 'away')], 'away'],
  ] as const)('%s', (_what, devices, show) => {
    const state = createPresenceState(10)
    for (const one of devices) state.put(1, one)
    expect(state.status(1).show).toBe(show)
  })

  it('is then the one of higher priority, then the one that spoke last', () => {
    const state = createPresenceState(10)
    state.put(1, device('a', 'away', { priority: 5, status: 'high' }))
    state.put(1, device('b', 'away', { since: 9, status: 'late' }))
    expect(state.status(1).status).toBe('high')
    state.put(1, device('a', 'away', { status: 'early' }))
    expect(state.status(1).status).toBe('late')
  })

  it('of an account that left is its last word, kept for so many accounts', () => {
    const state = createPresenceState(1)
    for (const account of [1, 2]) {
      state.put(account, device('a', 'chat'))
      expect(state.put(account, device('a', 'offline', { status: 'bye', since: 7 }))).toBe(true)
      expect(state.put(account, device('a', 'offline'))).toBe(false)
    }
    expect(state.status(2)).toMatchObject({ show: 'offline', status: 'bye', since: 7 })
    expect(state.status(1)).toEqual({ show: 'offline', status: '', since: 0 })
    expect(state.devices(2)).toEqual([])
  })
})

/** Rosters of which a test decides when they are at hand. */
function someRosters() {
  const waiting: (() => void)[] = []
  const listeners: ((event: ContactEvent) => void)[] = []
  const audience = [partyOf(1), partyOf(2)]
  const rosters: Rosters = {
    audience: () => new Promise<readonly Party[]>((resolve) => waiting.push(() => resolve(audience))),
    onEvent: (listener) => void listeners.push(listener),
    read: async () => ({ version: 0, items: [] }),
    put: async () => null,
    remove: async () => null,
    say: async () => null,
    forget: () => undefined,
  }
  return { rosters, waiting, listeners }
}

function somePresence() {
  const { rosters, ...more } = someRosters()
  const presence = createPresence({ rosters, directory: { party: (id) => partyOf(id) } })
  const heard: string[] = []
  const border: PresenceBorder = {
    device: (from, { resource, show }, audience) =>
      heard.push(`${from.name}/${resource} ${show} to ${audience.length}`),
    status: (from, { show }) => heard.push(`${from.name} is ${show}`),
    right: (viewer, of, granted) => heard.push(`${viewer.name} ${granted ? 'sees' : 'loses'} ${of.name}`),
  }
  presence.join(border)
  return { presence, heard, ...more }
}

describe('who may see it', () => {
  it('is told in the order in which it was said, however long the roster takes', async () => {
    const { presence, heard, waiting } = somePresence()
    const told = [
      presence.set(partyOf(1), device('a', 'away')),
      presence.set(partyOf(1), device('a', 'dnd')),
      presence.set(partyOf(1), device('a', 'offline')),
    ]
    for (let n = 0; n < 3; n++) {
      await new Promise(setImmediate)
      waiting.shift()?.()
    }
    for (const one of told) await one
    expect(heard).toEqual([
      'n1/a away to 2',
      'n1 is away',
      'n1/a dnd to 2',
      'n1 is dnd',
      'n1/a offline to 2',
      'n1 is offline',
    ])
  })

  it('is not told of a device that was not here', () => {
    const { presence, heard } = somePresence()
    expect(presence.set(partyOf(1), device('a', 'offline'))).toBeUndefined()
    expect(heard).toEqual([])
  })

  it('is told of a right that was granted or has ended', () => {
    const { heard, listeners } = somePresence()
    for (const granted of [true, false]) {
      for (const tell of listeners) tell({ what: 'right', viewer: partyOf(2), of: partyOf(1), granted })
    }
    expect(heard).toEqual(['n2 sees n1', 'n2 loses n1'])
  })
})

describe('the payload', () => {
  it.each([
    ['away', { show: 'away', status: '' }],
    ['\tdnd\n', { show: 'dnd', status: '' }],
    ['{"show":"chat","status":"hi","more":1}', { show: 'chat', status: 'hi' }],
    ['{}', { show: 'available', status: '' }],
  ])('%j is read', (text, read) => expect(readPresence(Buffer.from(text))).toEqual(read))

  it.each(['', 'Away', 'null', '"away"', '{"show":""}', `{"status":"${'x'.repeat(1025)}"}`, 'x'.repeat(9000)])(
    '%s is refused',
    (text) => expect(readPresence(Buffer.from(text))).toBeInstanceOf(BrokerError),
  )

  it('of what nobody knows has no time', () => {
    const json = presenceJson(partyOf(1), { show: 'offline', status: '', since: 0 })
    expect(JSON.parse(json)).toEqual({ v: 1, kind: 'presence', from: 'n1@x', show: 'offline', status: '' })
  })
})
