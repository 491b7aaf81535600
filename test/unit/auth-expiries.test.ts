import { expect, test } from 'vitest'
import { createExpiries } from '../../broker/auth/expiries.ts'
import { createLogger } from '../../broker/log.ts'

const logger = createLogger('silent')

test('what has expired ends in the next sweep, once, and nothing before its time', () => {
  let nowMs = 0
  const expiries = createExpiries({ logger, now: () => nowMs })
  const ended: string[] = []
  const onEnd = (name: string, at: number) => expiries.onEnd(at, () => ended.push(name))
  onEnd('late', 90_000)
  onEnd('first', 10_000)
  onEnd('second', 10_000)
  onEnd('between', 10_500)
  onEnd('gone', 10_000)()
  nowMs = 9999
  expiries.sweep()
  expect(ended).toEqual([])
  nowMs = 10_600
  expiries.sweep()
  expiries.sweep()
  expect(ended).toEqual(['first', 'second'])
  nowMs = 60_000
  expiries.sweep()
  expect(ended).toEqual(['first', 'second', 'between'])
})

test('whoever ends may undo itself and its neighbours meanwhile', () => {
  const expiries = createExpiries({ logger, now: () => 20_000 })
  const ended: number[] = []
  const undos = [1, 2, 3].map((n) =>
    expiries.onEnd(10_000, () => {
      ended.push(n)
      for (const undo of undos) undo()
    }),
  )
  expiries.sweep()
  expect(ended).toEqual([1])
})

test('one that fails does not keep the others', () => {
  const expiries = createExpiries({ logger, now: () => 20_000 })
  let ends = 0
  expiries.onEnd(10_000, () => {
    throw new Error('a fault in one border')
  })
  expiries.onEnd(10_000, () => ends++)
  expiries.sweep()
  expect(ends).toBe(1)
})
