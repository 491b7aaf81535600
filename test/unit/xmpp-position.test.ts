import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { createPosition } from '../../adapters/xmpp/position.ts'

describe('how far a stream without XEP-0198 has come (DESIGN §5)', () => {
  let acknowledged: number[] = []
  const position = () => createPosition((seq) => acknowledged.push(seq))

  beforeEach(() => {
    acknowledged = []
    vi.useFakeTimers({ toFake: ['performance'] })
  })
  afterEach(() => void vi.useRealTimers())

  it('counts what had left before the client said something', () => {
    const one = position()
    one.wrote(1, 100)
    one.heard(99)
    expect(acknowledged).toEqual([])
    one.heard(100)
    expect(acknowledged).toEqual([1])
    one.heard(200)
    expect(acknowledged).toEqual([1])
  })

  it('counts what had left when the stream has lived for 30 seconds more', () => {
    const one = position()
    one.wrote(1, 100)
    vi.advanceTimersByTime(29_999)
    one.lived(performance.now(), 100)
    expect(acknowledged).toEqual([])
    vi.advanceTimersByTime(1)
    one.lived(performance.now(), 99)
    expect(acknowledged).toEqual([])
    one.lived(performance.now(), 100)
    expect(acknowledged).toEqual([1])
  })

  it('comes forward though more is always on its way', () => {
    const one = position()
    for (let seq = 1; seq <= 10; seq++) {
      one.wrote(seq, seq * 100)
      vi.advanceTimersByTime(1001)
      one.heard(seq * 100 - 50)
    }
    expect(acknowledged).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9])
  })

  it('counts messages of one second together', () => {
    const one = position()
    one.wrote(1, 100)
    one.wrote(2, 200)
    one.heard(150)
    expect(acknowledged).toEqual([])
    one.heard(200)
    expect(acknowledged).toEqual([2])
  })
})
