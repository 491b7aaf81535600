// MQTT 5 §2.2.1, §4.4, §4.9: packet ids and what is in flight.
import fc from 'fast-check'
import { expect, it } from 'vitest'
import { ownPublication } from '../../broker/publication.ts'
import { forgettable, type InFlight, SendWindow } from '../../broker/send-window.ts'
import { looseTopic } from '../../broker/topic-table.ts'

const entry = (place: number): InFlight => ({
  publication: ownPublication(looseTopic('t'), Buffer.alloc(0), 1),
  qos: 1,
  retain: false,
  subscriptionIds: [],
  origin: { repeatsUpTo: 0, acknowledged: () => undefined },
  place,
  stage: 'sent',
})
const drain = (window: SendWindow) => {
  const taken: number[] = []
  for (let next = window.takeAgain(); next; next = window.takeAgain()) taken.push(next[1].place)
  return taken
}

it('never gives an id that is in flight, and all ids come back [MQTT-2.2.1-4]', () => {
  fc.assert(
    fc.property(fc.array(fc.nat(9)), (moves) => {
      const window = new SendWindow(5)
      const flying: number[] = []
      for (const move of moves) {
        if (!window.isFull && move < 5) {
          const id = window.take(move % 2 ? forgettable : entry(move))
          expect(id).toBeGreaterThan(0)
          expect(id).toBeLessThanOrEqual(5)
          expect(flying).not.toContain(id)
          flying.push(id)
        } else if (flying.length > 0) {
          const [id] = flying.splice(move % flying.length, 1)
          expect(window.release(id as number)).not.toBeNull()
          expect(window.release(id as number)).toBeNull()
        }
        expect(window.isFull).toBe(flying.length === 5)
      }
    }),
  )
})

it.each([0, 6, 65_535])('id %i was never given: nothing is released', (id) => {
  const window = new SendWindow(5)
  window.take(entry(1))
  expect(window.release(id)).toBeNull()
})

it('keeps the packet ids of an earlier run beside its own, which begin behind its base', () => {
  const window = new SendWindow(3, 300)
  const former = entry(1)
  window.takeApart(former, 7)
  const own = entry(2)
  const ids = [window.take(own), window.take(forgettable)]
  expect(ids).toEqual([301, 302])
  expect(window.isFull).toBe(true)
  expect(window.inFlightOf(former.origin)).toEqual([[1, 7]])
  window.reopen(3)
  expect(drain(window)).toEqual([1, 2])
  expect(window.release(7)).toBe(former)
  expect(window.release(7)).toBeNull()
  expect(window.isFull).toBe(false)
  expect(ids.map((id) => window.release(id))).toEqual([own, forgettable])
  expect(Array.from({ length: 3 }, () => window.take(entry(3))).toSorted()).toEqual([301, 302, 303])
})

it('after a new connection gives what is in flight again, in the order of sending [MQTT-4.4.0-1]', () => {
  const window = new SendWindow(4)
  const ids = [1, 2, 3].map((place) => window.take(entry(place)))
  window.release(ids[0] as number)
  window.take(entry(4))
  window.take(entry(5))
  window.reopen(4)
  expect(window.isFull).toBe(true)
  expect(drain(window)).toEqual([2, 3, 4, 5])
  expect(window.mustSendAgain).toBe(false)
})

it('gives no more again than the client takes now; the rest as it acknowledges [MQTT-3.3.4-9]', () => {
  const window = new SendWindow(8)
  const ids = [1, 2, 3, 4].map((place) => window.take(entry(place)))
  window.reopen(2)
  expect(drain(window)).toEqual([1, 2])
  window.release(ids[0] as number)
  expect(drain(window)).toEqual([3])
  expect(window.isFull).toBe(true)
  // An acknowledgement for what was not sent again takes it out.
  window.release(ids[3] as number)
  window.release(ids[1] as number)
  expect(drain(window)).toEqual([])
  expect(window.isFull).toBe(false)
  window.take(entry(9))
  expect(window.isFull).toBe(true)
})
