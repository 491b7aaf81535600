// MQTT 5 §3.15: AUTH
import { malformed, protocolError } from './malformed.ts'
import { type Level, packetType } from './packet-type.ts'
import { Reader } from './primitives.ts'
import { type Properties, readProperties, writeProperties } from './properties.ts'
import { Writer } from './writer.ts'

/** Table 3-11, those that a client may send. */
export const authReason = { continue: 0x18, reAuthenticate: 0x19 } as const

export type Auth = Readonly<{
  reasonCode: (typeof authReason)[keyof typeof authReason]
  properties: Properties
  method: string
}>

/** Reads a client's AUTH. @throws Malformed 0x81, 0x82 */
export function readAuth(buffer: Buffer, start: number, end: number, level: Level): Auth {
  if (level === 4) throw malformed('MQTT 3.1.1 has no AUTH') // 3.1.1 §2.2.1
  // §3.15.2.1: nothing said is Success, which only a server sends.
  if (start === end) throw protocolError('An AUTH of a client says nothing')
  const reader = new Reader(buffer, start, end)
  const reasonCode = reader.u8()
  if (reasonCode !== authReason.continue && reasonCode !== authReason.reAuthenticate) {
    throw protocolError('An AUTH has a reason code that no client sends') // [MQTT-3.15.2-1]
  }
  const properties = readProperties(reader, packetType.AUTH)
  reader.finish()
  const { authenticationMethod: method } = properties
  if (method === undefined) throw protocolError('An AUTH names no method') // §3.15.2.2.2
  return { reasonCode, properties, method }
}

/** The server's AUTH: 0x18 to go on, 0 when a re-authentication has succeeded. */
export function writeAuth(reasonCode: number, properties: Properties): Buffer {
  return writeProperties(new Writer().u8(reasonCode), properties).toPacket(packetType.AUTH << 4)
}
