// DESIGN §5: a publisher is acknowledged when each reference is committed, or left out.
import { expect, it } from 'vitest'
import { durable } from '../../broker/durable.ts'
import { BrokerError } from '../../broker/errors.ts'
import { Lingering } from '../../broker/linger.ts'
import { ownPublication } from '../../broker/publication.ts'
import { looseTopic } from '../../broker/topic-table.ts'

const unshared = {
  isOnline: true,
  hasRoomFor: () => true,
  wantRoom: () => undefined,
  joinShare: () => undefined,
  leaveShare: () => undefined,
}

function some(sessions: readonly number[], parts: 1 | 2) {
  const settled: unknown[] = []
  const targets = sessions.map((id) => ({
    recipient: { id, persistent: true, deliver: () => undefined, hasSent: () => true, ...unshared },
    qos: 1 as const,
    noLocal: false,
    retainAsPublished: false,
    subscriptionIds: [],
    share: '',
  }))
  const sink = { settle: (_token: number, outcome: unknown) => void settled.push(outcome) }
  const publication = ownPublication(looseTopic('t'), Buffer.from('x'), 1)
  return { settled, targets, lingering: new Lingering(publication, 1, targets, { sink, token: 0 }, parts) }
}

it('is settled by the last acknowledgement, and only sessions that it waits for count', () => {
  const { lingering, settled, targets } = some([1, 2, 3], 1)
  for (const session of [1, 1, 9, 3]) lingering.acknowledge(session)
  expect(settled).toEqual([])
  lingering.acknowledge(2)
  expect(settled).toEqual([durable])
  expect(lingering.takeDue()).toEqual([])
  // The route's own list is as it was.
  expect(targets.map(({ recipient }) => recipient.id)).toEqual([1, 2, 3])
})

it('leaves what is due to the commit: acknowledgements change nothing then', () => {
  const { lingering, settled } = some([1, 2, 3], 1)
  lingering.acknowledge(2)
  expect(lingering.takeDue().map(({ recipient }) => recipient.id)).toEqual([1, 3])
  lingering.acknowledge(1)
  lingering.acknowledge(3)
  expect(settled).toEqual([])
  lingering.settle(0, durable)
  expect(settled).toEqual([durable])
})

it('waits for the part that went with a batch at once; a part that fails settles it, once', () => {
  const { lingering, settled } = some([1], 2)
  lingering.acknowledge(1)
  expect(settled).toEqual([])
  const fault = new BrokerError('internal')
  lingering.settle(0, fault)
  lingering.settle(0, durable)
  expect(settled).toEqual([fault])
})
