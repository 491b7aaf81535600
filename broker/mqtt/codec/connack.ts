// MQTT 5 §3.2, 3.1.1 §3.2: CONNACK
import { type Level, packetType } from './packet-type.ts'
import { type Properties, writeProperties } from './properties.ts'
import { Writer } from './writer.ts'

export type Connack = Readonly<{
  sessionPresent: boolean
  /** Of MQTT 5; 3.1.1's return code follows from it. */
  reasonCode: number
  /** MQTT 5 only. */
  properties?: Properties
}>

const NOT_AUTHORIZED = 5

// 3.1.1 table 3.1. Whatever else is refused by policy is "not authorized"; trouble that passes is "unavailable".
const returnCodes: Readonly<Record<number, number>> = {
  0: 0,
  132: 1,
  133: 2,
  128: 3,
  131: 3,
  136: 3,
  137: 3,
  139: 3,
  151: 3,
  156: 3,
  157: 3,
  159: 3,
  134: 4,
}

/** A whole CONNACK. A refusal never says that a session is present [MQTT-3.2.2-6]. */
export function writeConnack(level: Level, connack: Connack): Buffer {
  const { reasonCode } = connack
  const writer = new Writer().u8(connack.sessionPresent && reasonCode === 0 ? 1 : 0)
  if (level === 4) writer.u8(returnCodes[reasonCode] ?? NOT_AUTHORIZED)
  else writeProperties(writer.u8(reasonCode), connack.properties)
  return writer.toPacket(packetType.CONNACK << 4)
}
