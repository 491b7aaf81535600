// Decision 0010: packet ids of QoS 2 messages from a queue follow from their positions, so two positions may want one id.
import { expect, it } from 'vitest'
import { durable } from '../../broker/durable.ts'
import { defaultLimits } from '../../broker/limits.ts'
import { createMetrics } from '../../broker/metrics.ts'
import { ownPublication } from '../../broker/publication.ts'
import { packetIdOf } from '../../broker/send-window.ts'
import { Session } from '../../broker/session.ts'
import { looseTopic } from '../../broker/topic-table.ts'

type Sent = readonly [what: 'publish' | 'pubrel', packetId: number]

/** A persistent session whose store commits when the test says so. */
function someSession() {
  const sent: Sent[] = []
  const commits: (() => void)[] = []
  const session = new Session(
    {
      limits: defaultLimits,
      counters: createMetrics().counters,
      readOn: () => undefined,
      queue: {
        release: (_reference, waiter) => void commits.push(() => waiter?.sink.settle(waiter.token, durable)),
      },
    },
    { account: 1, accountName: 'n', clientId: 'c', id: 1, epoch: 1, expiryInterval: 60 },
  )
  session.attach(
    {
      hasRoom: () => true,
      send: (_publication, { packetId }) => void sent.push(['publish', packetId]),
      encode: () => ({ bytes: Buffer.alloc(0), start: 0, end: 0, packetIdAt: -1, expiryAt: -1 }),
      sendEncoded: () => undefined,
      release: (packetId) => void sent.push(['pubrel', packetId]),
      close: () => undefined,
    },
    64,
  )
  const target = {
    recipient: session,
    qos: 2,
    noLocal: false,
    retainAsPublished: false,
    subscriptionIds: [],
    share: '',
  } as const
  const deliver = (position: number): void => {
    session.deliver(ownPublication(looseTopic('t'), Buffer.from('x'), 2), target, position)
  }
  return { session, sent, deliver, commit: () => commits.shift()?.() }
}

it('sends a message when its reference is committed, and PUBREL when that is marked', () => {
  const { session, sent, deliver, commit } = someSession()
  for (const position of [5, 6, 7]) deliver(position)
  expect(sent).toEqual([])
  session.committed(6)
  const [id = 0, other = 0] = [5, 6].map(packetIdOf)
  expect(sent.splice(0)).toEqual([
    ['publish', id],
    ['publish', other],
  ])
  expect(session.receive(id, false)).toBe(true)
  expect(session.receive(id, false)).toBe(true)
  expect(sent).toEqual([])
  commit()
  commit()
  expect(sent).toEqual([['pubrel', id]])
})

it('gives no packet id again before the store knows that its last message is done with [MQTT-2.2.1-4]', () => {
  const { session, sent, deliver, commit } = someSession()
  const id = packetIdOf(9)
  const again = 9 + 0x8000
  expect(packetIdOf(again)).toBe(id)
  deliver(9)
  session.committed(9)
  session.receive(id, false)
  commit()
  session.complete(id)
  expect(session.completedIds()).toEqual([id])
  deliver(again)
  session.committed(again)
  expect(sent.splice(0)).toEqual([
    ['publish', id],
    ['pubrel', id],
  ])
  // It is read from the store when there is room, which the save makes.
  expect(session.queue?.behind).toBe(true)
  session.saved([id])
  expect(session.completedIds()).toEqual([])
  const publication = ownPublication(looseTopic('t'), Buffer.from('x'), 2)
  const out = { qos: 2, released: false, retain: false, subscriptionIds: [], share: '' } as const
  expect(session.queue && session.takeQueued(session.queue, publication, out, again)).toBe(true)
  expect(sent).toEqual([['publish', id]])
})

it('its packet ids are none that a window hands out', () => {
  const ids = [1, 32_767, 32_768, 65_536, 2 ** 40].map(packetIdOf)
  for (const id of ids) {
    expect(id).toBeGreaterThan(32_767)
    expect(id).toBeLessThanOrEqual(65_535)
  }
})

it('keeps nothing of its handshakes when it has ended, also when what was saved is told later', () => {
  const { session, deliver, commit } = someSession()
  deliver(5)
  session.committed(5)
  const id = packetIdOf(5)
  session.receive(id, false)
  commit()
  session.complete(id)
  session.received.begin(3)
  const completed = session.completedIds()
  expect([completed, session.received.stateOf(3)]).toEqual([[id], 'publishing'])
  session.detach()
  session.drop()
  session.saved(completed)
  expect([session.completedIds(), session.received.stateOf(3), session.inFlight]).toEqual([[], undefined, []])
})
