// The claim `acl` of a token in EMQX's forms.
// biome-ignore-all lint/suspicious/noTemplateCurlyInString: EMQX's placeholders
import { describe, expect, it, test } from 'vitest'
import { readTokenRules } from '../../broker/auth/token-rules.ts'
import { createPolicy } from '../../broker/policy.ts'
import { createTopicTable } from '../../broker/topic-table.ts'

const domain = 'ex.org'
const table = createTopicTable({ domain, maxTopics: 1000, maxBytes: 1e6, check: () => undefined })
const principal = { account: 1, name: 'emqx_u', role: 'user', plainTopics: 'all', epoch: 0 } as const

function rights(claim: unknown, clientId: string | null = 'emqx_c') {
  const tokenRules = readTokenRules(claim)
  if (tokenRules === null) throw new Error('not understood')
  const of = createPolicy({ acl: [], domain }).rightsOf({ principal, clientId, tokenRules })
  return {
    pub: (...topics: string[]) => topics.filter((topic) => of.mayPublish(table.named(topic))),
    sub: (...filters: string[]) => filters.filter((filter) => of.decideFilter(filter).kind === 'plain'),
  }
}

describe('three lists', () => {
  const { pub, sub } = rights({
    pub: ['p/${username}', 'eq p/${username}/x'],
    sub: ['s/${username}', 's/${clientid}', 's2/#', 'v4/%c/%u'],
    all: ['a/${clientid}/+', 'eq a/#'],
  })

  it('allow what they name, and nothing else', () => {
    expect(pub('p/emqx_u', 'p/${username}/x', 'p/emqx_u/x', 'p/other', 's/emqx_u', 'a/emqx_c/1', 'a/x/1', 'z')).toEqual(
      ['p/emqx_u', 'p/${username}/x', 'a/emqx_c/1'],
    )
    expect(sub('s/emqx_u', 's/emqx_c', 's2/#', 's2', 'v4/emqx_c/emqx_u', 'p/emqx_u', 'a/#', 'a/x', '#', 's/+')).toEqual(
      ['s/emqx_u', 's/emqx_c', 's2/#', 's2', 'v4/emqx_c/emqx_u', 'a/#'],
    )
  })

  it('without any of them allow nothing', () => {
    expect([rights({}).pub('x'), rights({ pub: [] }).sub('#')]).toEqual([[], []])
  })

  it.each(['#', '+', 'a/b', null])('a client id %j widens nothing', (clientId) => {
    const hostile = rights({ all: ['a/${clientid}', '${clientid}/#'] }, clientId)
    expect(hostile.pub('a/x', 'a/b', 'x', 'a/')).toEqual([])
    expect(hostile.sub('#', 'a/+', 'a/#', 'x/#')).toEqual([])
  })
})

describe('a list of rules', () => {
  it('is read from above, and says nothing of what no rule names', () => {
    const { pub, sub } = rights([
      { permission: 'allow', action: 'publish', topic: 't/${clientid}' },
      { permission: 'deny', action: 'all', topic: 't/#' },
      { permission: 'deny', action: 'subscribe', topics: ['eq #', 'x/+'] },
    ])
    expect(pub('t/emqx_c', 't/1', 'other', 'x/1')).toEqual(['t/emqx_c', 'other', 'x/1'])
    expect(sub('t/emqx_c', '#', '+/y', 'x/1', 'free/#')).toEqual(['free/#'])
  })

  it('a condition that is not looked at lets nobody pass', () => {
    const { pub } = rights([
      { permission: 'allow', action: 'all', topic: 'a', qos: [1] },
      { permission: 'deny', action: 'publish', topic: 'b', retain: true },
      { permission: 'allow', action: 'all', topic: 'c', ipaddr: '127.0.0.1' },
      { permission: 'allow', action: 'all', topic: 'd' },
      { permission: 'deny', action: 'all', topic: '#' },
    ])
    expect(pub('a', 'b', 'c', 'd')).toEqual(['d'])
  })
})

test.each([
  null,
  'all',
  5,
  { pub: 5 },
  { pub: ['a/#/b'] },
  { pub: [''] },
  { publish: ['a'] },
  [{ permission: 'allow' }],
  [{ permission: 'yes', action: 'all', topic: 'a' }],
  [{ permission: 'allow', action: 'all', topic: 'a+' }],
  [[]],
])('%j is not understood', (claim) => {
  expect(readTokenRules(claim)).toBeNull()
})
