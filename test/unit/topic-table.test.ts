// DESIGN §8: topics interned by their bytes.
import { expect, it } from 'vitest'
import { createTopicTable, sameBytes } from '../../broker/topic-table.ts'

function create(limits: Partial<{ maxTopics: number; maxBytes: number }> = {}) {
  let checks = 0
  const table = createTopicTable({
    domain: 'localhost',
    maxTopics: 1000,
    maxBytes: 1e6,
    check: () => checks++,
    ...limits,
  })
  const find = (name: string) => {
    const bytes = Buffer.from(`..${name}..`)
    return table.find(bytes, 2, bytes.length - 2)
  }
  return { table, find, checks: () => checks }
}

it('one name is one object, checked once, however it is asked for', () => {
  const { table, find, checks } = create()
  const topic = find('a/ö')
  expect(find('a/ö')).toBe(topic)
  expect(table.named('a/ö')).toBe(topic)
  expect(table.known('a/ö')).toBe(topic)
  expect(table.known('a/o')).toBeNull()
  expect(checks()).toBe(1)
  expect(topic).toMatchObject({ name: 'a/ö', kind: { kind: 'plain' } })
})

it('owns the bytes of its topics', () => {
  const { table } = create()
  const bytes = Buffer.from('abc')
  const topic = table.find(bytes, 0, 3)
  bytes.fill('x')
  expect(topic.bytes.toString()).toBe('abc')
  expect(sameBytes(topic.bytes, Buffer.from('-abc-'), 1, 4)).toBe(true)
  expect(sameBytes(topic.bytes, Buffer.from('-abd-'), 1, 4)).toBe(false)
})

it('keeps names apart whose bytes are nearly the same', () => {
  const { find } = create()
  const names = Array.from({ length: 500 }, (_, i) => `t/${i % 25}/${Math.floor(i / 25)}`)
  expect(new Set(names.map(find)).size).toBe(500)
  expect(names.every((name) => find(name).name === name)).toBe(true)
})

it.each([{ maxTopics: 3 }, { maxBytes: 1500 }])(
  'is emptied at its limit %j, and says so by its generation',
  (limits) => {
    const { table, find } = create(limits)
    const first = find('a')
    for (const name of ['b', 'c', 'd', 'e', 'f', 'g']) find(name)
    expect(table.generation()).toBeGreaterThan(first.generation)
    expect(find('a')).not.toBe(first)
  },
)

it('counts what routes hold', () => {
  const { table, find } = create({ maxBytes: 1000 })
  const first = find('a')
  table.charge(5000)
  find('b')
  expect(table.generation()).toBeGreaterThan(first.generation)
})
