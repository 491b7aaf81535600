// Presence for an MQTT session without room: it gets the last state of each contact that was meant for its eyes.
import { expect, it } from 'vitest'
import type { PresenceBorder, Status } from '../../broker/contacts.ts'
import { defaultLimits } from '../../broker/limits.ts'
import { createLogger } from '../../broker/log.ts'
import { createMetrics } from '../../broker/metrics.ts'
import { createPresenceStreams } from '../../broker/mqtt/presence-streams.ts'
import { Session } from '../../broker/session.ts'
import type { Transport } from '../../broker/transport.ts'
import type { Party } from '../../broker/types.ts'

const partyOf = (id: number): Party => ({ id, name: `n${id}`, address: `n${id}@x` })
const here = (status: string): Status => ({ show: 'away', status, since: 1 })

function someSession() {
  const room = { isThere: true }
  const sent: string[] = []
  const session = new Session(
    {
      limits: defaultLimits,
      counters: createMetrics().counters,
      queue: { release: () => undefined },
      readOn: () => undefined,
    },
    { account: 1, accountName: 'n1', clientId: 'c', id: 0, epoch: 0, expiryInterval: 0 },
  )
  const transport: Transport = {
    hasRoom: () => room.isThere,
    send: ({ payload }) => void sent.push(payload.toString()),
    encode: () => ({ bytes: Buffer.alloc(0), start: 0, end: 0, packetIdAt: -1, expiryAt: -1 }),
    sendEncoded: () => undefined,
    release: () => undefined,
    close: () => undefined,
  }
  session.attach(transport, 10)
  return { session, sent, room }
}

it('what could not be shown comes when there is room, and nothing of whom may not be seen any more', () => {
  const borders: PresenceBorder[] = []
  const streams = createPresenceStreams({
    presence: {
      set: () => undefined,
      devices: () => [],
      status: () => here('secret'),
      visible: async () => null,
      contacts: async () => [],
      join: (border) => void borders.push(border),
    },
    party: partyOf,
    logger: createLogger('silent'),
  })
  const [border] = borders
  const { session, sent, room } = someSession()
  const follower = streams.of(session)
  follower.add('u/+/presence', {
    of: null,
    options: { qos: 0, noLocal: false, retainAsPublished: false, subscriptionId: 0 },
  })
  follower.open()
  room.isThere = false
  for (const status of ['one', 'two']) border?.status(partyOf(2), here(status), [partyOf(1), partyOf(2)])
  border?.status(partyOf(3), here('seen'), [partyOf(1)])
  border?.right(partyOf(1), partyOf(3), false)
  border?.status(partyOf(4), here('not for n1'), [partyOf(2)])
  follower.resume()
  expect(sent).toEqual([])
  room.isThere = true
  follower.resume()
  expect(sent.map((json) => JSON.parse(json))).toMatchObject([
    { from: 'n2@x', status: 'two' },
    { from: 'n3@x', show: 'offline', status: '' },
  ])
  follower.close()
  border?.status(partyOf(2), here('three'), [partyOf(1)])
  expect(sent).toHaveLength(2)
})
