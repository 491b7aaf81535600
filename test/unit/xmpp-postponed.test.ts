// What waits for room in a session: the newest of each key, in order, and not without end.
import { expect, it } from 'vitest'
import { clientNs, type Element, el } from '../../adapters/xmpp/element.ts'
import { createPostponed } from '../../adapters/xmpp/postponed.ts'

function somePostponed() {
  const sent: string[] = []
  let room = 0
  const send = ({ name }: Element) => {
    room--
    sent.push(name)
  }
  const postponed = createPostponed({ hasRoom: () => room > 0, send })
  const element = (name: string) => el(name, clientNs)
  return {
    sent,
    setRoom: (places: number) => {
      room = places
    },
    tell: (key: string, name: string, later = name) => postponed.tell(key, element(name), () => element(later)),
    send: postponed.send,
  }
}

it('goes at once while there is room', () => {
  const { sent, setRoom, tell } = somePostponed()
  setRoom(2)
  expect([tell('a', 'one'), tell('b', 'two')]).toEqual([true, true])
  expect(sent).toEqual(['one', 'two'])
})

it('waits otherwise, and then only the newest of a key is said, as it is by then', () => {
  const { sent, setRoom, tell, send } = somePostponed()
  for (const name of ['one', 'two']) tell('a', name)
  tell('b', 'three', 'three-later')
  tell('a', 'four', 'four-later')
  setRoom(1)
  send()
  expect(sent).toEqual(['three-later'])
  setRoom(9)
  tell('c', 'five')
  expect(sent).toEqual(['three-later', 'four-later', 'five'])
})

it('is too much at last', () => {
  const { tell } = somePostponed()
  const told = Array.from({ length: 10_000 }, (_, i) => tell(`${i}`, 'x'))
  expect(told.every(Boolean)).toBe(true)
  expect(tell('0', 'x')).toBe(true)
  expect(tell('more', 'x')).toBe(false)
})
