// MQTT 5 §2.2.2: properties, read and written by one table.
import { Malformed, malformed, protocolError, reason } from './malformed.ts'
import { packetType } from './packet-type.ts'
import type { Reader } from './primitives.ts'
import { type Entry, type IntegerEntry, type Properties, propertyTable } from './property-table.ts'
import { Writer } from './writer.ts'

export type { Properties }

const byId: readonly (Entry | undefined)[] = Array.from({ length: 0x2b }, (_, id) =>
  propertyTable.find((entry) => entry.id === id),
)
const SUBSCRIPTION_IDENTIFIER = 0x0b

/**
 * Reads property length and properties of one packet type (`packetType.WILL` for a Will).
 * @throws Malformed 0x81 unknown, misplaced or cut; 0x82 repeated or out of range; 0x94 topic alias 0
 */
export function readProperties(reader: Reader, type: number): Properties {
  const properties: Properties = {}
  const packetEnd = reader.end
  const length = reader.varint()
  if (length > reader.left) throw malformed('Properties are longer than their packet')
  reader.end = reader.offset + length
  while (reader.left > 0) readProperty(reader, type, properties)
  reader.end = packetEnd
  return properties
}

/** The same without the property length in front: `reader` ends where the properties do. */
export function readPropertyList(reader: Reader, type: number): Properties {
  const properties: Properties = {}
  while (reader.left > 0) readProperty(reader, type, properties)
  return properties
}

function readProperty(reader: Reader, type: number, properties: Properties): void {
  const id = reader.varint()
  const entry = byId[id]
  if (entry === undefined || (entry.packets & (1 << type)) === 0) {
    throw malformed(`Property ${id} does not belong into this packet`) // §2.2.2.2
  }
  if (entry.type === 'pair') {
    properties.userProperties ??= []
    properties.userProperties.push([reader.string(), reader.string()]) // [MQTT-1.5.7-1]
    return
  }
  if (id === SUBSCRIPTION_IDENTIFIER && type === packetType.PUBLISH) {
    properties.subscriptionIdentifiers ??= []
    properties.subscriptionIdentifiers.push(readInteger(reader, entry as IntegerEntry))
    return
  }
  if (properties[entry.name] !== undefined) throw protocolError(`${entry.name} is given twice`)
  if (entry.type === 'string') properties[entry.name] = readText(reader, entry.name)
  else if (entry.type === 'binary') properties[entry.name] = reader.binary()
  else properties[entry.name] = readInteger(reader, entry)
}

function readText(reader: Reader, name: string): string {
  const text = reader.string()
  if (name === 'responseTopic' && (text === '' || /[+#]/.test(text))) {
    throw protocolError('The response topic is not a topic name') // [MQTT-3.3.2-14], [MQTT-4.7.3-1]
  }
  return text
}

function readInteger(reader: Reader, entry: IntegerEntry): number {
  const value = readByType(reader, entry)
  const { min = 0, max = 0xffff_ffff } = entry
  if (value >= min && value <= max) return value
  if (entry.name === 'topicAlias') throw new Malformed(reason.topicAliasInvalid, 'Topic alias 0 is not allowed') // [MQTT-3.3.2-8]
  throw protocolError(`${entry.name} must not be ${value}`)
}

function readByType(reader: Reader, entry: IntegerEntry): number {
  switch (entry.type) {
    case 'byte':
      return reader.u8()
    case 'u16':
      return reader.u16()
    case 'u32':
      return reader.u32()
    case 'varint':
      return reader.varint()
  }
}

/** The properties without the length in front, in the table's order; user properties and subscription ids in their own. */
export function encodeProperties(properties: Properties): Buffer {
  const writer = new Writer()
  for (const entry of propertyTable) writeProperty(writer, entry, properties)
  return writer.toBuffer()
}

/** Property length and properties; undefined and {} are one zero byte [MQTT-2.2.2-1]. */
export function writeProperties(writer: Writer, properties: Properties | undefined): Writer {
  if (properties === undefined) return writer.varint(0)
  const encoded = encodeProperties(properties)
  return writer.varint(encoded.length).bytes(encoded)
}

function writeProperty(writer: Writer, entry: Entry, properties: Properties): void {
  const { id } = entry
  if (entry.type === 'pair') {
    for (const [name, value] of properties.userProperties ?? []) writer.u8(id).string(name).string(value)
    return
  }
  if (id === SUBSCRIPTION_IDENTIFIER) {
    for (const identifier of properties.subscriptionIdentifiers ?? []) writer.u8(id).varint(identifier)
  }
  if (entry.type === 'string' || entry.type === 'binary') {
    const value = properties[entry.name]
    if (typeof value === 'string') writer.u8(id).string(value)
    else if (value !== undefined) writer.u8(id).binary(value)
    return
  }
  const value = properties[entry.name]
  if (value !== undefined) writeInteger(writer.u8(id), entry, value)
}

function writeInteger(writer: Writer, entry: IntegerEntry, value: number): Writer {
  switch (entry.type) {
    case 'byte':
      return writer.u8(value)
    case 'u16':
      return writer.u16(value)
    case 'u32':
      return writer.u32(value)
    case 'varint':
      return writer.varint(value)
  }
}
