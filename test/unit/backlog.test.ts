import { expect, it } from 'vitest'
import { Backlog } from '../../broker/backlog.ts'
import type { Wire } from '../../broker/publication.ts'

function wire(text: string): Wire {
  const bytes = Buffer.from(`..${text}..`)
  return { bytes, start: 2, end: bytes.length - 2, packetIdAt: 1, expiryAt: 2 }
}

function takeAll(backlog: Backlog): string[] {
  const taken: string[] = []
  for (let first = backlog.first(); first !== null; first = backlog.first()) {
    taken.push(first.bytes.toString('latin1', first.start, first.end))
    backlog.shift()
  }
  return taken
}

it('gives back what was pushed, in order, across many chunks', () => {
  const backlog = new Backlog(100_000, 100_000_000)
  const texts = Array.from({ length: 5000 }, (_, i) => `${i}:${'x'.repeat(i % 400)}`)
  for (const text of texts) expect(backlog.push(wire(text), 1, 0)).toBe(0)
  expect(backlog.messages).toBe(5000)
  expect(takeAll(backlog)).toEqual(texts)
  expect(backlog.messages).toBe(0)
})

it('keeps the place of the packet id, QoS and the expiry', () => {
  const backlog = new Backlog(10, 10_000)
  backlog.push(wire('abc'), 2, 1_790_000_000_123)
  expect(backlog.first()).toMatchObject({ packetIdAt: 1, expiryAt: 2, qos: 2, expiresAt: 1_790_000_000_123 })
})

it('drops the oldest at its limit of messages, and tells how many', () => {
  const backlog = new Backlog(3, 10_000)
  const dropped = ['a', 'b', 'c', 'd', 'e'].map((text) => backlog.push(wire(text), 1, 0))
  expect(dropped).toEqual([0, 0, 0, 1, 1])
  expect(takeAll(backlog)).toEqual(['c', 'd', 'e'])
})

it('drops the oldest at its limit of bytes, but never the only one', () => {
  const backlog = new Backlog(1000, 200)
  for (const text of ['a'.repeat(60), 'b'.repeat(60), 'c'.repeat(60)]) backlog.push(wire(text), 1, 0)
  expect(takeAll(backlog)).toEqual(['b'.repeat(60), 'c'.repeat(60)])
  backlog.push(wire('d'.repeat(100_000)), 1, 0)
  expect(takeAll(backlog)).toEqual(['d'.repeat(100_000)])
})

it('takes more while it is emptied', () => {
  const backlog = new Backlog(5000, 1_000_000)
  const taken: string[] = []
  for (let i = 0; i < 3000; i++) {
    backlog.push(wire(`m${i}`), 1, 0)
    if (i % 3 === 0) continue
    const first = backlog.first()
    if (first) taken.push(first.bytes.toString('latin1', first.start, first.end))
    backlog.shift()
  }
  taken.push(...takeAll(backlog))
  expect(taken).toEqual(Array.from({ length: 3000 }, (_, i) => `m${i}`))
})
