// What is live and finds no room is lost, and counted (DESIGN §1, §2).
import { expect, it } from 'vitest'
import { createFollowers } from '../../broker/follow.ts'
import { createLogger } from '../../broker/log.ts'
import type { FollowingSession, LogEntry, View } from '../../broker/types.ts'

const party = (id: number) => ({ id, name: `n${id}`, address: `n${id}@x` })

function typing(owner: number): LogEntry {
  const [from, to] = [party(1), party(owner)]
  const ids = { id: 'i', ts: 0, device: null, toResource: null, oid: null, xid: null }
  const body = { format: 'json', text: '{}' } as const
  return {
    owner,
    seq: 0,
    late: false,
    message: { ...ids, kind: 'typing', from, to, content: {}, body, wires: new Map() },
  }
}

function someFollowers() {
  const counters = { followers: 0, liveDropped: 0 }
  const log = { onAppended: () => undefined, read: async () => [], head: async () => 0 }
  const followers = createFollowers({
    log,
    watermarks: log,
    positions: { backlogStart: async () => 0, savePositions: async () => undefined },
    logReaders: 1,
    counters,
    logger: createLogger('silent'),
  })
  const follow = (view: View, hasRoom: boolean) => {
    const session: FollowingSession = { deliver: () => hasRoom, notice: () => hasRoom }
    return followers.follow(session, 2, view, 0)
  }
  return { followers, counters, follow }
}

it('counts what a full session was not told, and only what its view has', () => {
  const { followers, counters, follow } = someFollowers()
  for (const view of ['evt', 'err', 'msg', 'chat'] as const) follow(view, false)
  follow('chat', true)
  follow('err', true)
  followers.live(typing(2))
  expect(counters.liveDropped).toBe(2) // evt, chat
  followers.notice(2, { code: 'x', detail: '', at: 0 })
  expect(counters.liveDropped).toBe(3)
  followers.live(typing(3))
  expect(counters.liveDropped).toBe(3)
})

it('counts nothing for who has gone', () => {
  const { followers, counters, follow } = someFollowers()
  follow('chat', false).close()
  followers.live(typing(2))
  expect(counters).toEqual({ followers: 0, liveDropped: 0 })
})
