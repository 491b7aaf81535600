// Rules of plain topics (decision 0011): who, which topic, and what a filter may show.
import { describe, expect, it, test } from 'vitest'
import { createPolicy } from '../../broker/policy.ts'
import { covers, intersect, toLevels } from '../../broker/topic-filter.ts'
import { matchesGlob } from '../../broker/topic-rules.ts'
import { createTopicTable } from '../../broker/topic-table.ts'
import type { Actor, Principal, TopicRule } from '../../broker/types.ts'

const domain = 'ex.org'
const topics = createTopicTable({ domain, maxTopics: 1000, maxBytes: 1e6, check: () => undefined })

type Who = Partial<Principal> & Readonly<{ clientId?: string | null; tokenRules?: readonly TopicRule[] }>

function actor({ clientId = 'c1', tokenRules, ...principal }: Who = {}): Actor {
  return {
    principal: { account: 1, name: 'alice', role: 'user', plainTopics: 'all', epoch: 0, ...principal },
    clientId,
    tokenRules,
  }
}

function rights(acl: readonly TopicRule[], who: Who = {}) {
  const of = createPolicy({ acl, domain }).rightsOf(actor(who))
  return {
    pub: (topic: string) => of.mayPublish(topics.named(topic)),
    sub: (filter: string) => of.decideFilter(filter).kind === 'plain',
  }
}

const denyAll: TopicRule = { deny: 'both', topics: ['#'] }

describe('filters', () => {
  test.each([
    ['a', 'a', 'a'],
    ['a', 'b', null],
    ['#', 'a/+/b', 'a/+/b'],
    ['a/#', 'a', 'a'],
    ['a/#', 'a/b/#', 'a/b/#'],
    ['a/+', '+/b', 'a/b'],
    ['a/+/#', 'a/#', 'a/+/#'],
    ['a/+', 'a', null],
    ['a/+', 'a/b/c', null],
    ['+/+', '#', '+/+'],
    ['a/b/#', '+/c/#', null],
    ['/a', '+/a', '/a'],
  ])('%s and %s have %s in common, whichever is named first', (a, b, both) => {
    expect(intersect(toLevels(a), toLevels(b))?.join('/') ?? null).toBe(both)
    expect(intersect(toLevels(b), toLevels(a))?.join('/') ?? null).toBe(both)
  })

  test.each([
    ['#', '+/+', true],
    ['+/#', '#', true],
    ['a/#', 'a', true],
    ['a/+/#', 'a/#', false],
    ['a/+', 'a/#', false],
    ['a/b', 'a/+', false],
    ['+/b', 'a/b', true],
  ])('%s covers %s: %s', (whole, part, does) => {
    expect(covers(toLevels(whole), toLevels(part))).toBe(does)
  })

  test.each([
    ['sensor-*', 'sensor-1', true],
    ['sensor-*', 'sensor-', true],
    ['sensor-*', 'xsensor-1', false],
    ['*', '', true],
    ['a*a', 'a', false],
    ['a*b*c', 'axxbxxc', true],
    ['a*b*c', 'acb', false],
    ['a.c', 'abc', false],
    ['*b*', 'abc', true],
  ])('%s fits %s: %s', (pattern, text, does) => {
    expect(matchesGlob(pattern, text)).toBe(does)
  })

  it('takes no longer for a hostile client id', () => {
    const began = performance.now()
    expect(matchesGlob('*a'.repeat(100), `${'a'.repeat(60_000)}b`)).toBe(false)
    expect(performance.now() - began).toBeLessThan(100)
  })
})

describe('without rules', () => {
  it('accounts made by an admin may use all plain topics, those that registered themselves none (DESIGN §3)', () => {
    expect([rights([]).pub('a/b'), rights([]).sub('#')]).toEqual([true, true])
    const none = rights([], { plainTopics: 'none' })
    expect([none.pub('a/b'), none.sub('a/b')]).toEqual([false, false])
  })

  it.each(['u/bob/msg', 'u/bob', 'g/x/in', 'cb/v1/rpc/x', '$SYS/broker/uptime', '$x'])(
    'nobody publishes to %s',
    (topic) => {
      expect(rights([{ allow: 'both', topics: ['#'] }], { role: 'admin' }).pub(topic)).toBe(false)
    },
  )
})

describe('the first rule that says something decides', () => {
  it('about publishing', () => {
    const { pub } = rights([
      { allow: 'publish', topics: ['a/b'] },
      { deny: 'publish', topics: ['a/+'] },
      { allow: 'subscribe', topics: ['b'] },
      { deny: 'both', topics: ['b'] },
    ])
    expect(['a/b', 'a/c', 'a/b/c', 'b', 'c'].map(pub)).toEqual([true, false, true, false, true])
  })

  it.each<readonly [string, TopicRule['topics'], boolean]>([
    ['a/secret', ['a/secret'], false],
    ['a/#', ['a/secret'], false],
    ['#', ['a/secret'], false],
    ['+/+', ['a/secret'], false],
    ['b/#', ['a/secret'], true],
    ['a/+/x', ['a/secret'], true],
    ['a', ['a/#'], false],
  ])('%s is no way around a rule that denies %j: %s', (filter, denied, isAllowed) => {
    expect(rights([{ deny: 'subscribe', topics: denied }]).sub(filter)).toBe(isAllowed)
  })

  it('a filter is allowed when a rule covers it, or what it shares with a denial was allowed before', () => {
    const { sub } = rights([
      { allow: 'subscribe', topics: ['a/b', 'x/#'] },
      { deny: 'subscribe', topics: ['a/b', 'x/y'] },
      { allow: 'subscribe', topics: ['a/#'] },
      denyAll,
    ])
    expect(['a/b', 'a/#', 'a/+', 'x/#', 'x/y', '#', '+', 'b'].map(sub)).toEqual([
      true,
      true,
      true,
      true,
      true,
      false,
      false,
      false,
    ])
  })
})

describe('who', () => {
  const allowed = (who: Omit<TopicRule, 'topics'>, is: Who = {}) =>
    rights([{ ...who, allow: 'both', topics: ['t'] }, denyAll], is).pub('t')

  it('an account, by its name in any spelling', () => {
    expect(allowed({ user: ['bob', 'Alice@EX.org'] })).toBe(true)
    expect(allowed({ user: ['bob'] })).toBe(false)
    expect(allowed({ user: ['alice'] }, { account: 0, name: '' })).toBe(false)
  })

  it('a role, which anonymous clients do not have', () => {
    expect(allowed({ role: ['admin'] }, { role: 'admin' })).toBe(true)
    expect(allowed({ role: ['admin', 'moderator'] })).toBe(false)
    expect(allowed({ role: ['user'] }, { account: 0, name: '' })).toBe(false)
  })

  it('a client id, which REST does not have', () => {
    expect(allowed({ client: ['x', 'c*'] })).toBe(true)
    expect(allowed({ client: ['x*'] })).toBe(false)
    expect(allowed({ client: ['*'] }, { clientId: null })).toBe(false)
  })

  it('anonymous, or not', () => {
    const nobody = { account: 0, name: '' }
    expect([allowed({ anonymous: true }), allowed({ anonymous: true }, nobody)]).toEqual([false, true])
    expect([allowed({ anonymous: false }), allowed({ anonymous: false }, nobody)]).toEqual([true, false])
  })

  it('all of it at once', () => {
    expect(allowed({ user: ['alice'], client: ['c1'], role: ['user'] })).toBe(true)
    expect(allowed({ user: ['alice'], client: ['c2'], role: ['user'] })).toBe(false)
  })
})

describe('%u and %c', () => {
  const own: readonly TopicRule[] = [{ allow: 'both', topics: ['home/%u/#', 'dev/x-%c'] }, denyAll]

  it('are the name and the client id', () => {
    const { pub, sub } = rights(own)
    expect(['home/alice/x', 'home/bob/x', 'dev/x-c1', 'dev/x-c2', 'home/%u/x'].map(pub)).toEqual([
      true,
      false,
      true,
      false,
      false,
    ])
    expect(['home/alice/#', 'home/+/x', 'home/#'].map(sub)).toEqual([true, false, false])
  })

  it.each(['+', '#', 'a/b', '+/#', 'x+', ''])('a client that is called %j gets no more by it', (clientId) => {
    const { pub, sub } = rights([{ allow: 'both', topics: ['dev/%c', 'dev/%c/#'] }, denyAll], { clientId })
    expect(['dev/other', `dev/${clientId}`, 'dev/a/b', 'dev/'].map(pub)).toEqual([false, false, false, false])
    expect(['dev/+', 'dev/#', 'dev/other'].map(sub)).toEqual([false, false, false])
  })

  it('a client that is called like a placeholder does not become another account', () => {
    const { pub } = rights([{ allow: 'both', topics: ['dev/%c/x'] }, denyAll], { clientId: '%u' })
    expect(['dev/alice/x', 'dev/%u/x'].map(pub)).toEqual([false, true])
  })

  it.each(['a/b', '+', null])('a denial cannot be slipped with the client id %j', (clientId) => {
    const { pub, sub } = rights([{ deny: 'both', topics: ['quarantine/%c/#'] }], { clientId })
    expect([pub('quarantine/c9/x'), sub('quarantine/#'), sub('quarantine/c9/x'), pub('free')]).toEqual([
      false,
      false,
      false,
      true,
    ])
  })

  it('anonymous clients have no %u', () => {
    expect(rights(own, { account: 0, name: '' }).pub('home//x')).toBe(false)
  })
})

describe('what a token says', () => {
  const tokenRules: readonly TopicRule[] = [{ allow: 'both', topics: ['a/#'] }, denyAll]

  it('restricts, beside the rules, and never gives more than they do', () => {
    const { pub, sub } = rights([{ deny: 'publish', topics: ['a/x'] }], { tokenRules })
    expect(['a/b', 'a/x', 'b'].map(pub)).toEqual([true, false, false])
    expect(['a/#', '#'].map(sub)).toEqual([true, false])
    expect(rights([], { tokenRules, plainTopics: 'none' }).pub('a/b')).toBe(false)
  })
})

test('a decision is kept for its epoch only, and not without limit', () => {
  const policy = createPolicy({ acl: [denyAll], domain })
  const of = policy.rightsOf(actor())
  const before = of.epoch
  for (let i = 0; i < 200; i++) expect(of.mayPublish(topics.named(`t/${i}`))).toBe(false)
  policy.replace([{ allow: 'both', topics: ['#'] }])
  expect(of.epoch).toBeGreaterThan(before)
  for (let i = 0; i < 200; i++) expect(of.mayPublish(topics.named(`t/${i}`))).toBe(true)
})
