import { describe, expect, test } from 'vitest'
import { createLoginGuard } from '../../broker/auth/login-guard.ts'
import { networkOf } from '../../broker/network.ts'

function guardAt(start = 0) {
  let time = start
  const guard = createLoginGuard({ tries: 3, addressTries: 6, maxWaitSeconds: 60, maxEntries: 10, now: () => time })
  const waitOf = (address: string, name: string): number => {
    try {
      guard.demand(address, name)
      return 0
    } catch (fault) {
      return (fault as { retryAfterMs: number }).retryAfterMs
    }
  }
  const pass = (ms: number): void => {
    time += ms
  }
  return { guard, waitOf, pass }
}

describe('waits after failed logins', () => {
  test('begin with the third failure and double up to the limit', () => {
    const { guard, waitOf, pass } = guardAt()
    const waits = Array.from({ length: 5 }, () => {
      const isHeld = guard.failed('192.0.2.1', 'alice')
      const wait = waitOf('192.0.2.1', 'alice')
      expect(isHeld).toBe(wait > 0)
      pass(wait)
      return wait
    })
    expect(waits).toEqual([0, 0, 1000, 2000, 4000])
    for (let n = 0; n < 20; n++) guard.failed('192.0.2.1', 'alice')
    expect(waitOf('192.0.2.1', 'alice')).toBe(60_000)
  })

  test('concern one account from one network, until that network has failed too often at any', () => {
    const { guard, waitOf } = guardAt()
    for (let n = 0; n < 3; n++) guard.failed('192.0.2.1', 'alice')
    expect(waitOf('192.0.2.1', 'bob')).toBe(0)
    expect(waitOf('192.0.2.2', 'alice')).toBe(0)
    for (const name of ['b', 'c', 'd']) guard.failed('192.0.2.1', name)
    expect(waitOf('192.0.2.1', 'bob')).toBe(1000)
    expect(waitOf('192.0.2.2', 'bob')).toBe(0)
  })

  test('a success forgives the account, not the network', () => {
    const { guard, waitOf } = guardAt()
    for (let n = 0; n < 5; n++) {
      guard.failed('192.0.2.1', 'mallory')
      guard.succeeded('192.0.2.1', 'mallory')
    }
    expect(waitOf('192.0.2.1', 'mallory')).toBe(0)
    guard.failed('192.0.2.1', 'mallory')
    expect(waitOf('192.0.2.1', 'mallory')).toBe(1000)
  })

  test('are forgotten after four times the longest wait without a failure', () => {
    const { guard, waitOf, pass } = guardAt()
    for (let n = 0; n < 5; n++) guard.failed('192.0.2.1', 'alice')
    pass(241_000)
    guard.failed('192.0.2.1', 'alice')
    expect(waitOf('192.0.2.1', 'alice')).toBe(0)
    pass(241_000)
    guard.sweep()
    expect(waitOf('192.0.2.1', 'alice')).toBe(0)
  })

  test('keep so many entries and no more', () => {
    const { guard, waitOf } = guardAt()
    for (let n = 0; n < 3; n++) guard.failed('192.0.2.1', 'alice')
    for (let n = 0; n < 10; n++) guard.failed(`198.51.100.${n}`, 'x'.repeat(100_000))
    expect(waitOf('192.0.2.1', 'alice')).toBe(0)
  })
})

test.each([
  ['192.0.2.1', '192.0.2.1'],
  ['::ffff:192.0.2.1', '192.0.2.1'],
  ['2001:db8:1:2:3:4:5:6', '2001:db8:1:2::/64'],
  ['2001:db8::1', '2001:db8:0:0::/64'],
  ['2001:DB8:0:0:ffff::', '2001:db8:0:0::/64'],
  ['fe80::1%eth0', 'fe80:0:0:0::/64'],
  ['::1', '0:0:0:0::/64'],
  ['', ''],
])('the network of %s is %s', (address, network) => {
  expect(networkOf(address)).toBe(network)
})
