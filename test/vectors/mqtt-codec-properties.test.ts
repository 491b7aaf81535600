import { describe, expect, it } from 'vitest'
import { Malformed } from '../../broker/mqtt/codec/malformed.ts'
import { packetType } from '../../broker/mqtt/codec/packet-type.ts'
import { Reader } from '../../broker/mqtt/codec/primitives.ts'
import { encodeProperties, type Properties, readProperties } from '../../broker/mqtt/codec/properties.ts'
import { bytes } from './mqtt-notation.ts'
import { carriers, type PropertyRow, propertyRows } from './mqtt-properties.ts'

function read(notation: string, type: number): Properties | number {
  const packet = bytes(notation)
  try {
    const reader = new Reader(packet, 0, packet.length)
    const properties = readProperties(reader, type)
    reader.finish()
    return properties
  } catch (error) {
    if (error instanceof Malformed) return error.reason
    throw error
  }
}

function expected([id, name, , value]: PropertyRow, type: string): object {
  return id === '0b' && type === 'PUBLISH' ? { subscriptionIdentifiers: [value] } : { [name]: value }
}

function isRepeatable(id: string, type: string): boolean {
  return id === '26' || (id === '0b' && type === 'PUBLISH')
}

describe('Every property stands where table 2-4 allows it, and nowhere else (§2.2.2.2)', () => {
  it.each(propertyRows)('%s %s', (...row) => {
    const [id, , value, , packets] = row
    for (const type of carriers) {
      const result = read(`{ ${id} ${value} }`, packetType[type])
      expect(result, type).toEqual(packets.includes(type) ? expected(row, type) : 0x81)
    }
  })

  it('knows no identifier beside the table', () => {
    const known = new Set(propertyRows.map(([id]) => Number.parseInt(id, 16)))
    for (let id = 0; id < 128; id++) {
      if (known.has(id)) continue
      const hex = id.toString(16).padStart(2, '0')
      for (const type of carriers) expect(read(`{ ${hex} 00 00 00 00 }`, packetType[type])).toBe(0x81)
    }
  })
})

describe('A property that may not repeat is a protocol error the second time', () => {
  it.each(propertyRows)('%s %s', (id, _name, value, _decoded, packets) => {
    for (const type of packets) {
      const result = read(`{ ${id} ${value} ${id} ${value} }`, packetType[type])
      if (isRepeatable(id, type)) expect(result, type).toBeTypeOf('object')
      else expect(result, type).toBe(0x82)
    }
  })
})

describe('A property that is cut by the end of its list is malformed', () => {
  it.each(propertyRows)('%s %s', (id, _name, value, _decoded, packets) => {
    const whole = bytes(`${id} ${value}`)
    for (let length = 1; length < whole.length; length++) {
      const hex = whole.subarray(0, length).toString('hex').replaceAll(/../g, '$& ')
      for (const type of packets) {
        const result = read(`{ ${hex} } 00 00 00 00`, packetType[type])
        expect(result, `${type} ${hex}`).toBe(0x81)
      }
    }
  })
})

describe('encodeProperties', () => {
  it.each(propertyRows)('writes %s %s as it is read', (...row) => {
    const [id, , value, , packets] = row
    for (const type of packets) expect(encodeProperties(expected(row, type))).toEqual(bytes(`${id} ${value}`))
  })

  it('keeps user properties in order, repeats included [MQTT-3.3.2-18]', () => {
    const encoded = encodeProperties({
      userProperties: [
        ['b', '1'],
        ['a', '2'],
        ['b', '1'],
      ],
    })
    expect(encoded).toEqual(bytes(`26 'b' '1' 26 'a' '2' 26 'b' '1'`))
  })

  it('writes nothing for nothing', () => {
    expect(encodeProperties({})).toHaveLength(0)
  })
})
