// DESIGN §2: chat quota per account.
import { expect, it } from 'vitest'
import { createQuota } from '../../broker/quota.ts'
import { eventually } from '../helpers/eventually.ts'

it('gives a burst at once, then tells how long to wait; accounts do not share', () => {
  const quota = createQuota({ perSecond: 10, burst: 3 })
  for (let i = 0; i < 3; i++) {
    expect(quota.delayMs(1)).toBe(0)
    quota.take(1)
  }
  expect(quota.delayMs(1)).toBeGreaterThan(0)
  expect(quota.delayMs(1)).toBeLessThanOrEqual(100)
  expect(quota.delayMs(2)).toBe(0)
})

it('fills again with time, and a debt is paid first', async () => {
  const quota = createQuota({ perSecond: 100, burst: 1 })
  quota.take(1)
  quota.take(1)
  expect(quota.delayMs(1)).toBeGreaterThan(10)
  await eventually(() => quota.delayMs(1) === 0, 1000)
})

it('a sweep forgets nobody who still owes', () => {
  const quota = createQuota({ perSecond: 1, burst: 2 })
  quota.take(1)
  quota.take(1)
  quota.sweep()
  expect(quota.delayMs(1)).toBeGreaterThan(0)
})
