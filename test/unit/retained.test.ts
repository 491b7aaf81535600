// MQTT 5 §3.3.1.3: retained messages in memory.
import { expect, it } from 'vitest'
import { createRetained } from '../../broker/retained.ts'
import type { Retained } from '../../broker/stores.ts'

const none = Buffer.alloc(0)
const message = (topic: string, payload = 'x', expiresAt: number | null = null): Retained => ({
  topic,
  payload: Buffer.from(payload),
  properties: none,
  qos: 1,
  expiresAt,
})
const create = (limits = {}, stored: readonly Retained[] = []) =>
  createRetained({ retainedMessages: 100, retainedBytes: 1e6, ...limits }, stored)
const topics = (retained: ReturnType<typeof create>, filter: string) =>
  [...retained.match(filter)].map(({ topic }) => topic).toSorted()

it('keeps the last one of a topic, and none after an empty payload [MQTT-3.3.1-5], [MQTT-3.3.1-6]', () => {
  const retained = create()
  retained.set(message('a', '1'))
  retained.set(message('a', '2'))
  expect([...retained.match('a')].map(({ payload }) => payload.toString())).toEqual(['2'])
  expect(retained.count()).toBe(1)
  retained.set(message('a', ''))
  retained.set(message('never', ''))
  expect(topics(retained, '#')).toEqual([])
  expect(retained.count()).toBe(0)
})

it('is found by every filter that matches, $ only by name [MQTT-4.7.2-1]', () => {
  const retained = create(
    {},
    ['a', 'a/b', 'a/b/c', '/', '$x/y'].map((topic) => message(topic)),
  )
  expect(topics(retained, 'a/#')).toEqual(['a', 'a/b', 'a/b/c'])
  expect(topics(retained, '#')).toEqual(['/', 'a', 'a/b', 'a/b/c'])
  expect(topics(retained, '+')).toEqual(['a'])
  expect(topics(retained, '+/+')).toEqual(['/', 'a/b'])
  expect(topics(retained, '+/y')).toEqual([])
  expect(topics(retained, '$x/+')).toEqual(['$x/y'])
  expect(topics(retained, 'a/+/c')).toEqual(['a/b/c'])
})

it('does not show what has expired [MQTT-3.3.2-5]', () => {
  const retained = create({}, [message('old', 'x', Date.now() - 1), message('new', 'x', Date.now() + 10_000)])
  expect(topics(retained, '#')).toEqual(['new'])
})

it('at its limit takes no new topic, but still replaces and removes', () => {
  const retained = create({ retainedMessages: 2 })
  expect(retained.set(message('a'))).toBe(true)
  expect(retained.set(message('b'))).toBe(true)
  expect(retained.set(message('c'))).toBe(false)
  expect(retained.set(message('a', 'new'))).toBe(true)
  expect(retained.set(message('b', ''))).toBe(true)
  expect(retained.set(message('c'))).toBe(true)
  expect(topics(retained, '#')).toEqual(['a', 'c'])
})

it('counts bytes, also of what replaces', () => {
  const retained = create({ retainedBytes: 2000 })
  expect(retained.set(message('a', 'x'.repeat(1500)))).toBe(true)
  expect(retained.set(message('b', 'x'.repeat(1500)))).toBe(false)
  expect(retained.set(message('a', 'y'.repeat(1700)))).toBe(true)
  expect(retained.set(message('a', 'z'.repeat(2500)))).toBe(false)
  expect([...retained.match('a')][0]?.payload.toString()).toBe('y'.repeat(1700))
  retained.set(message('a', ''))
  expect(retained.set(message('b', 'x'.repeat(1500)))).toBe(true)
})

it('may be changed while it is walked', () => {
  const retained = create(
    {},
    ['a', 'b', 'c'].map((topic) => message(topic)),
  )
  const walk = retained.match('#')
  walk.next()
  retained.set(message('b', ''))
  retained.set(message('c', 'newer'))
  expect([...walk].map(({ topic, payload }) => `${topic} ${payload}`)).toEqual(['c newer'])
})

it('forgets what has expired, and makes room so', () => {
  const retained = create({ retainedMessages: 3 })
  for (const topic of ['a', 'a/b', '$x']) retained.set(message(topic, 'x', Date.now() - 1))
  expect(retained.set(message('c'))).toBe(false)
  retained.prune()
  expect(retained.count()).toBe(0)
  expect(retained.set(message('c', 'x', Date.now() + 60_000))).toBe(true)
  retained.prune()
  expect(topics(retained, '#')).toEqual(['c'])
})
