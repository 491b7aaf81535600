// MQTT 5 §2.1: packets out of chunks.
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { frame } from '../../broker/mqtt/codec/frame.ts'
import { Input } from '../../broker/mqtt/input.ts'
import { publishPacket } from '../helpers/mqtt-bytes.ts'

const packetOf = (size: number) => publishPacket(4, { topic: 't', payload: Buffer.alloc(size, size % 251) })

/** Takes packets until told to stop; `stopAt` are the counts at which it says no, once each. */
function create(stopAt: readonly number[] = [], maxPacketBytes = 1e6) {
  const taken: Buffer[] = []
  const stops = [...stopAt]
  const input = new Input(maxPacketBytes, (buffer, start) => {
    if (stops[0] === taken.length) {
      stops.shift()
      return false
    }
    taken.push(Buffer.from(buffer.subarray(start, frame.bodyEnd)))
    return true
  })
  return { input, taken }
}

it('gives every packet whole and in order, however they are cut and wherever the taker stops', () => {
  const sizes = fc.array(fc.oneof(fc.nat(20), fc.nat(400)), { minLength: 1, maxLength: 12 })
  const cuts = fc.array(fc.nat(5000), { maxLength: 12 })
  fc.assert(
    fc.property(sizes, cuts, fc.array(fc.nat(12), { maxLength: 6 }), (lengths, where, stopAt) => {
      const packets = lengths.map(packetOf)
      const bytes = Buffer.concat(packets)
      const places = [...where.map((place) => place % bytes.length), 0, bytes.length].toSorted((a, b) => a - b)
      const { input, taken } = create(stopAt.toSorted((a, b) => a - b))
      let stopped = false
      for (const [i, start] of places.entries()) {
        const chunk = Buffer.from(bytes.subarray(start, places[i + 1] ?? start))
        if (chunk.length === 0) continue
        if (stopped) input.hold(chunk)
        else stopped = !input.add(chunk)
        // Every other time it goes on at once.
        if (stopped && i % 2 === 0) stopped = !input.add(null)
      }
      for (let tries = 0; tries < 20 && stopped; tries++) stopped = !input.add(null)
      expect(taken.map((packet) => packet.toString('hex'))).toEqual(packets.map((packet) => packet.toString('hex')))
    }),
    { numRuns: 500 },
  )
})

describe('hold', () => {
  it('keeps the order when one long packet has come in parts', () => {
    const { input, taken } = create()
    const packet = packetOf(300)
    expect(input.add(packet.subarray(0, 100))).toBe(true)
    expect(input.add(packet.subarray(100, 200))).toBe(true)
    input.hold(packet.subarray(200))
    expect(input.add(null)).toBe(true)
    expect(taken.map((bytes) => bytes.equals(packet))).toEqual([true])
  })
})

it('refuses a packet that is too long from its header, before the rest has come [MQTT-3.2.2-15]', () => {
  const { input } = create([], 100)
  expect(() => input.add(packetOf(200).subarray(0, 3))).toThrow(/too large/)
})

it('keeps of a packet that comes byte by byte its length, and no object per byte', () => {
  const { input, taken } = create()
  const packet = packetOf(900_000)
  const before = process.memoryUsage()
  let most = 0
  for (let at = 0; at < packet.length; at++) {
    input.add(Buffer.alloc(1, packet[at]))
    if (at % 100_000 !== 0) continue
    const { heapUsed, external } = process.memoryUsage()
    most = Math.max(most, heapUsed + external - before.heapUsed - before.external)
  }
  expect(taken[0]?.equals(packet)).toBe(true)
  expect(most / 2 ** 20).toBeLessThan(64)
})

describe('a header that is refused', () => {
  it('is asked for again, and may be welcome then', () => {
    const { input, taken } = create([], 100)
    const packet = packetOf(300)
    expect(() => input.add(packet)).toThrow('too large')
    expect(() => input.add(null)).toThrow('too large')
    input.maxPacketBytes = 1000
    expect(input.add(null)).toBe(true)
    expect(taken.map((bytes) => bytes.equals(packet))).toEqual([true])
  })
})
