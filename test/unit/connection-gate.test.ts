// Who may connect now: per account, per network, how fast; clients that only come and go.
import { describe, expect, it } from 'vitest'
import { createConnectionGate } from '../../broker/connection-gate.ts'
import { defaultLimits, type Limits } from '../../broker/limits.ts'
import { createMetrics } from '../../broker/metrics.ts'
import { Pace } from '../../broker/pace.ts'

function create(limits: Partial<Limits>) {
  let time = 0
  const { counters } = createMetrics()
  const gate = createConnectionGate({ limits: { ...defaultLimits, ...limits }, counters, now: () => time })
  return {
    gate,
    counters,
    pass: (ms: number) => {
      time += ms
    },
  }
}

describe('connections of a network', () => {
  it('beyond the limit are told so, and far beyond it not even that', () => {
    const { gate, counters } = create({ connectionsPerAddress: 2 })
    expect([gate.arrive('10.0.0.1'), gate.arrive('10.0.0.1'), gate.knock('10.0.0.1')]).toEqual([true, true, null])
    expect([gate.arrive('10.0.0.1'), gate.knock('10.0.0.1'), gate.knock('10.0.0.2')]).toEqual([true, 'too-many', null])
    for (let i = 0; i < 63; i++) expect(gate.arrive('10.0.0.1')).toBe(true)
    expect(gate.arrive('10.0.0.1')).toBe(false)
    for (let i = 0; i < 64; i++) gate.gone('10.0.0.1')
    expect(gate.knock('10.0.0.1')).toBeNull()
    expect(counters.limitConnections).toBe(2)
  })

  it('of IPv6 are those of a /64', () => {
    const { gate } = create({ connectionsPerAddress: 1 })
    gate.arrive('2001:db8::1')
    gate.arrive('2001:db8::2')
    expect([gate.knock('2001:db8::3'), gate.knock('2001:db8:0:1::3')]).toEqual(['too-many', null])
  })

  it('come no faster than so many per second, ten times as many after a rest', () => {
    const { gate, counters, pass } = create({ connectsPerSecond: 2 })
    const knocks = (count: number) => Array.from({ length: count }, () => gate.knock('10.0.0.1'))
    expect(knocks(21).filter((refusal) => refusal === 'too-fast')).toHaveLength(1)
    pass(1000)
    expect(knocks(3)).toEqual([null, null, 'too-fast'])
    expect(gate.knock('10.0.0.2')).toBeNull()
    pass(20_000)
    gate.sweep()
    expect(knocks(21).filter((refusal) => refusal === 'too-fast')).toHaveLength(1)
    expect(counters.limitConnectRate).toBe(3)
  })
})

it('connections of an account are counted by their owners; one that is replaced leaves its place', () => {
  const { gate } = create({ connectionsPerAccount: 1 })
  const [one, two] = [{}, {}]
  expect([gate.enter(one, 7, false), gate.enter(two, 7, false), gate.enter(two, 8, false)]).toEqual([
    null,
    'too-many',
    null,
  ])
  expect(gate.enter({}, 7, true)).toBeNull()
  gate.leave(one)
  gate.leave(one)
  expect(gate.enter({}, 7, false)).toBe('too-many')
  expect([gate.enter({}, 0, false), gate.enter({}, 0, false)]).toEqual([null, null])
})

describe('a client that comes and goes', () => {
  const limits = { flappingLosses: 3, flappingWindowMs: 1000, flappingBanMs: 5000 }

  it('is kept out for a while, other clients of the account are not', () => {
    const { gate, counters, pass } = create(limits)
    gate.lost(1, 'a')
    gate.lost(1, 'a')
    expect(gate.isBanned(1, 'a')).toBe(false)
    gate.lost(1, 'a')
    expect([gate.isBanned(1, 'a'), gate.isBanned(1, 'b'), gate.isBanned(2, 'a')]).toEqual([true, false, false])
    pass(4000)
    gate.sweep()
    expect(gate.isBanned(1, 'a')).toBe(true)
    pass(1000)
    expect(gate.isBanned(1, 'a')).toBe(false)
    gate.lost(1, 'a')
    expect(gate.isBanned(1, 'a')).toBe(false)
    expect(counters.limitFlapping).toBe(2)
  })

  it('may lose its connection as often as it likes, if slowly', () => {
    const { gate, pass } = create(limits)
    for (let i = 0; i < 20; i++) {
      gate.lost(1, 'a')
      pass(500)
      expect(gate.isBanned(1, 'a')).toBe(false)
      if (i % 2 === 1) pass(1)
    }
  })
})

it('a pace lets twice a second of messages through at once, then says how long to wait', () => {
  const pace = new Pace(10)
  for (let i = 0; i < 20; i++) expect(pace.take()).toBe(0)
  expect(pace.take()).toBeGreaterThan(50)
})
