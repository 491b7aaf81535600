// DESIGN §2: plain topics, doors and streams; one spelling of every name.
import { describe, expect, it } from 'vitest'
import { classifyFilter, classifyTopic, streamTopic, toLevel } from '../../broker/topic.ts'

const domain = 'ex.org'

describe('a topic', () => {
  it.each([
    ['a', 'plain'],
    ['/', 'plain'],
    ['U/bob/in', 'plain'],
    ['uu/bob/in', 'plain'],
    ['a/u/bob/in', 'plain'],
    ['/u/bob/in', 'plain'],
    ['u', 'closed'],
    ['u/bob', 'closed'],
    ['u/bob/', 'closed'],
    ['u/bob/msg', 'closed'],
    ['u/bob/in/x', 'closed'],
    ['u/bob/In', 'closed'],
    ['g/x/in', 'closed'],
    ['cb/v1/rpc/x', 'closed'],
    ['$SYS/x', 'closed'],
    ['$', 'closed'],
    ['u/bob/in', 'door'],
    ['u/bob/presence/set', 'presence'],
    ['u/bob/presence', 'closed'],
    ['u/bob/presence/get', 'closed'],
    ['u/bob/presence/set/x', 'closed'],
    ['u/bob/msg/set', 'closed'],
    ['u/Bob/presence/set', 'misspelt'],
    ['u/a%2Fb/in', 'misspelt'],
    ['u/Bob/in', 'misspelt'],
    ['u/bob@ex.org/in', 'misspelt'],
    ['u//in', 'misspelt'],
    ['u/b b/in', 'misspelt'],
    ['u/%62ob/in', 'misspelt'],
    ['u/a%2bb/in', 'misspelt'],
    ['u/a%/in', 'misspelt'],
    ['u/ＢＯＢ/in', 'misspelt'],
  ])('%s is %s', (topic, kind) => expect(classifyTopic(topic, domain).kind).toBe(kind))

  it('names the receiver of a door as the account is called', () => {
    expect(classifyTopic('u/50%25%2B%23/in', domain)).toEqual({ kind: 'door', to: '50%+#' })
    expect(classifyTopic('u/%24x/in', domain)).toEqual({ kind: 'door', to: '$x' })
    expect(classifyTopic('u/a$x/in', domain)).toEqual({ kind: 'door', to: 'a$x' })
    expect(classifyTopic('u/straße/in', domain)).toEqual({ kind: 'door', to: 'straße' })
  })
})

describe('a filter of bob', () => {
  it.each([
    ['#', 'plain'],
    ['+/bob/msg', 'plain'],
    ['a/u/#', 'plain'],
    ['u/bob/msg', ['msg']],
    ['u/bob/text', ['text']],
    ['u/bob/#', ['msg', 'sent', 'evt', 'err']],
    ['u/bob/+', ['msg', 'sent', 'evt', 'err']],
    ['u/bob/presence', 'bob'],
    ['u/alice/presence', 'alice'],
    ['u/+/presence', null],
    ['u/+/presence/set', 0x87],
    ['u/alice/presence/#', 0x87],
    ['u/Alice/presence', 0x8f],
    ['$share/n/u/+/presence', 0x9e],
    ['u/bob/in', 0x87],
    ['u/bob/strange', 0x87],
    ['u/bob/+/x', 0x87],
    ['u/bob/msg/#', 0x87],
    ['u/bob', 0x87],
    ['u/#', 0x87],
    ['u/+/msg', 0x87],
    ['u/alice/msg', 0x87],
    ['g/#', 0x87],
    ['cb/#', 0x87],
    ['$SYS/#', 0x87],
    ['$share/n/a', 0x9e],
    ['$share/n/u/bob/msg', 0x9e],
    ['u/Bob/msg', 0x8f],
    ['u/bob@ex.org/msg', 0x8f],
  ] as const)('%s: %s', (filter, expected) => {
    const kind = classifyFilter(filter, 'bob', domain)
    if (kind.kind === 'plain') expect(expected).toBe('plain')
    else if (kind.kind === 'presence') expect(kind.of).toBe(expected)
    else expect(kind.kind === 'streams' ? kind.views : kind.reason).toEqual(expected)
  })

  it('gives an anonymous client no stream', () => {
    expect(classifyFilter('u//msg', '', domain)).toEqual({ kind: 'refused', reason: 0x8f })
    expect(classifyFilter('u/+/presence', '', domain)).toEqual({ kind: 'refused', reason: 0x87 })
    expect(classifyFilter('u/bob/presence', '', domain)).toEqual({ kind: 'refused', reason: 0x87 })
  })
})

it.each(['bob', '50%', 'a+b#c', '$x', 'x$', 'ö', '%25'])('the level of %s leads back to it', (name) => {
  expect(classifyTopic(`u/${toLevel(name)}/in`, domain)).toEqual({ kind: 'door', to: name })
  expect(classifyFilter(streamTopic(name, 'msg'), name, domain)).toEqual({ kind: 'streams', views: ['msg'] })
})
