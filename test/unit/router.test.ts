// MQTT 5 §4.7: which filters match which topics, and what a cached route knows of changes.
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { defaultLimits } from '../../broker/limits.ts'
import { createRouter } from '../../broker/router.ts'
import type { Recipient, SubscriptionOptions } from '../../broker/routes.ts'
import { createTopicTable } from '../../broker/topic-table.ts'

const options: SubscriptionOptions = { qos: 0, noLocal: false, retainAsPublished: false, subscriptionId: 0 }
const recipient = (persistent = false): Recipient => ({
  persistent,
  id: persistent ? 1 : 0,
  deliver: () => undefined,
  hasSent: () => false,
  isOnline: true,
  hasRoomFor: () => true,
  wantRoom: () => undefined,
  joinShare: () => undefined,
  leaveShare: () => undefined,
})

function create(maxTopics = 1000) {
  const topics = createTopicTable({ domain: 'localhost', maxTopics, maxBytes: 1e6, check: () => undefined })
  const router = createRouter(topics, { limits: defaultLimits, counters: { queueDropped: 0 } })
  return { topics, router, route: (name: string) => router.route(topics.named(name)) }
}

describe('match', () => {
  it.each([
    ['a/b', 'a/b', true],
    ['a/b', 'a', false],
    ['a/#', 'a', true],
    ['a/#', 'a/b/c', true],
    ['a/#', 'ab', false],
    ['+/b', 'a/b', true],
    ['+/b', '/b', true],
    ['a/+', 'a', false],
    ['a/+', 'a/', true],
    ['a/+/c', 'a/b/c', true],
    ['+', 'a/b', false],
    ['+', '/', false],
    ['/+', '/', true],
    ['#', 'a/b', true],
    ['#', '/', true],
    ['+/+', '/', true],
    ['#', '$SYS/x', false],
    ['+/x', '$SYS/x', false],
    ['$SYS/#', '$SYS/x', true],
    ['$SYS/+', '$SYS/x', true],
    ['a/#', 'a/$x', true],
    ['a/+', 'a/$x', true],
    ['A', 'a', false],
  ])('%s and %s: %s [MQTT-4.7.1-2], [MQTT-4.7.1-3], [MQTT-4.7.2-1]', (filter, topic, matches) => {
    const { router, route } = create()
    router.add(recipient(), filter, options)
    expect(route(topic).targets.length).toBe(matches ? 1 : 0)
  })
})

/** The definition, level by level. */
function isMatch(filter: readonly string[], topic: readonly string[]): boolean {
  if (topic[0]?.startsWith('$') && /^[+#]/.test(filter[0] ?? '')) return false
  const at = filter.indexOf('#')
  if (at < 0 && filter.length !== topic.length) return false
  if (at >= 0 && topic.length < at) return false
  return filter.slice(0, at < 0 ? undefined : at).every((level, i) => level === '+' || level === topic[i])
}

it('agrees with the definition after any order of adding, removing and asking', () => {
  const level = fc.constantFrom('a', 'b', '', '$c')
  const topic = fc.array(level, { minLength: 1, maxLength: 4 })
  const filter = fc
    .tuple(fc.array(fc.oneof(level, fc.constant('+')), { minLength: 1, maxLength: 4 }), fc.boolean())
    .map(([levels, endsInHash]) => (endsInHash ? [...levels.slice(1), '#'] : levels))
  const step = fc.oneof(
    fc.record({ kind: fc.constantFrom('add' as const, 'remove' as const), who: fc.nat(3), filter }),
    fc.record({ kind: fc.constant('ask' as const), topic }),
  )
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      // A small table: it is emptied on the way, too.
      const { router, route } = create(5)
      const recipients = Array.from({ length: 4 }, () => recipient())
      const has = new Map<string, Set<number>>()
      for (const one of steps) {
        if (one.kind === 'ask') {
          const expected = new Set<number>()
          for (const [known, who] of has) if (isMatch(known.split('/'), one.topic)) for (const n of who) expected.add(n)
          const got = route(one.topic.join('/')).targets.map((target) =>
            recipients.indexOf(target.recipient as Recipient),
          )
          expect(got.toSorted()).toEqual([...expected].toSorted())
          continue
        }
        const name = one.filter.join('/')
        const who = has.get(name) ?? new Set<number>()
        has.set(name, who)
        const subscriber = recipients[one.who] as Recipient
        if (one.kind === 'add') {
          who.add(one.who)
          router.add(subscriber, name, options)
        } else {
          who.delete(one.who)
          router.remove(subscriber, name)
        }
      }
    }),
    { numRuns: 300 },
  )
})

it('merges overlapping subscriptions: best QoS, all identifiers, No Local only when all say so [MQTT-3.3.4-2]', () => {
  const { router, route } = create()
  const one = recipient(true)
  router.add(one, 'a/b', { qos: 0, noLocal: true, retainAsPublished: false, subscriptionId: 1 })
  router.add(one, 'a/+', { qos: 1, noLocal: false, retainAsPublished: true, subscriptionId: 2 })
  router.add(one, '#', { qos: 0, noLocal: true, retainAsPublished: false, subscriptionId: 0 })
  const { targets, queued } = route('a/b')
  expect(targets).toHaveLength(1)
  expect(targets[0]).toMatchObject({ qos: 1, noLocal: false, retainAsPublished: true })
  expect(targets[0]?.subscriptionIds.toSorted()).toEqual([1, 2])
  expect(queued).toEqual(targets)
})

it('queues only for persistent recipients with QoS 1', () => {
  const { router, route } = create()
  router.add(recipient(false), 'a', { ...options, qos: 1 })
  router.add(recipient(true), 'a', options)
  expect(route('a').queued).toEqual([])
  const kept = recipient(true)
  router.add(kept, 'a', { ...options, qos: 1 })
  expect(route('a').queued.map((target) => target.recipient)).toEqual([kept])
})

it('a route stays the same object until a change concerns it', () => {
  const { router, route } = create()
  router.add(recipient(), 'a', options)
  const before = route('a')
  router.add(recipient(), 'b', options)
  expect(route('a')).toBe(before)
  router.add(recipient(), 'a', options)
  expect(route('a')).not.toBe(before)
})

it.each([
  ['a/+/c', 'a/b', 'b/b'],
  ['a/#', 'a', 'b'],
  ['/+', '/a', 'a'],
  ['$SYS/#', '$SYS/x', 'a'],
])('a change of %s makes the route of %s anew and leaves that of %s', (filter, concerned, other) => {
  const { router, route } = create()
  const one = recipient()
  for (const change of [() => router.add(one, filter, options), () => router.remove(one, filter)]) {
    const before = { concerned: route(concerned), other: route(other) }
    change()
    expect(route(concerned)).not.toBe(before.concerned)
    expect(route(other)).toBe(before.other)
  }
})

it.each(['#', '+', '+/x'])('a change of %s makes every route anew', (filter) => {
  const { router, route } = create()
  const before = [route('a'), route('b/c')]
  router.add(recipient(), filter, options)
  expect(route('a')).not.toBe(before[0])
  expect(route('b/c')).not.toBe(before[1])
})

it('a route that is made anew takes the place of the old one in the budget of the table', () => {
  const { topics, router, route } = create()
  const generation = topics.generation()
  for (let n = 0; n < 100; n++) router.add(recipient(), 'a/b', options)
  for (let n = 0; n < 1000; n++) {
    // Neither of them leaves anything.
    router.remove(recipient(), n % 2 === 0 ? 'a/+' : 'a/b')
    route('a/b')
  }
  topics.named('new')
  expect(topics.generation()).toBe(generation)
})

it('has routes for more recipients than a call takes arguments', () => {
  const { router, route } = create()
  for (let n = 0; n < 400_000; n++) router.add(recipient(), n % 2 === 0 ? 'crowd/#' : 'crowd', options)
  expect(route('crowd').targets).toHaveLength(400_000)
})
