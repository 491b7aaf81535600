// [MQTT-4.6.0-2], [MQTT-4.6.0-3]: acknowledgements leave in the order of the publishes.
import fc from 'fast-check'
import { expect, it } from 'vitest'
import { Acks } from '../../broker/mqtt/acks.ts'
import { packetType } from '../../broker/mqtt/codec/packet-type.ts'

it('whatever order they are settled in, they are written in the order of arrival, each with its own reason', () => {
  fc.assert(
    fc.property(fc.array(fc.nat(100), { maxLength: 200 }), (moves) => {
      const acks = new Acks(8)
      const open: number[] = []
      const written: string[] = []
      const expected: string[] = []
      let arrived = 0
      for (const move of moves) {
        if (move < 50 && !acks.isFull) {
          const packetId = 1 + (arrived++ % 65_535)
          const type = move % 2 ? packetType.PUBACK : packetType.PUBREC
          const token = acks.push(type, packetId)
          expect(acks.receivedId(token)).toBe(type === packetType.PUBREC ? packetId : 0)
          open.push(token)
          expected.push(`${type} ${packetId} ${token % 3} id${token}`)
        } else if (open.length > 0) {
          const [token = 0] = open.splice(move % open.length, 1)
          acks.settle(token, token % 3, `id${token}`, (...ack) => written.push(ack.join(' ')))
        }
        expect(written).toEqual(expected.slice(0, written.length))
        expect(acks.count).toBe(expected.length - written.length)
        const isPubrec = (answer: string) => answer.startsWith(`${packetType.PUBREC}`)
        expect(acks.receiving).toBe(expected.slice(written.length).filter(isPubrec).length)
        expect(acks.isFull).toBe(acks.count === 8)
      }
    }),
  )
})
