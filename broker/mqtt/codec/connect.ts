// MQTT 5 §3.1, 3.1.1 §3.1, 3.1 §3.1: CONNECT
import { Malformed, malformed, protocolError, reason, UnsupportedVersion } from './malformed.ts'
import { type Level, packetType } from './packet-type.ts'
import { Reader } from './primitives.ts'
import { type Properties, readProperties } from './properties.ts'
import { isTopicName } from './topic-name.ts'

export type Will = Readonly<{
  topic: string
  payload: Buffer
  qos: 0 | 1 | 2
  retain: boolean
  properties: Properties
}>

export type Connect = Readonly<{
  /** From here on 3.1 is 3.1.1. */
  level: Level
  isVersion31: boolean
  /** Clean Session in 3.1.1. */
  cleanStart: boolean
  /** Seconds; 0: none. */
  keepAlive: number
  /** '': the server chooses one, or (3.1, and 3.1.1 without cleanStart) refuses it with 0x85 [MQTT-3.1.3-8]. */
  clientId: string
  username: string | null
  password: Buffer | null
  will: Will | null
  /** {} in 3.1.1. */
  properties: Properties
}>

const RESERVED = 0x01
const CLEAN_START = 0x02
const WILL = 0x04
const WILL_RETAIN = 0x20
const PASSWORD = 0x40
const USERNAME = 0x80

/**
 * Reads the body of a CONNECT. Authentication methods and the Will's QoS are for the server to accept.
 * @throws UnsupportedVersion another level than 4 and 5, or 3 of MQIsdp; Malformed 0x81, 0x82, 0x90 (Will topic)
 */
export function readConnect(buffer: Buffer, start: number, end: number): Connect {
  const reader = new Reader(buffer, start, end)
  const version = readVersion(reader)
  const level = version === 3 ? 4 : version
  const flags = reader.u8()
  checkFlags(flags, level)
  const keepAlive = reader.u16()
  const properties = level === 5 ? readProperties(reader, packetType.CONNECT) : {}
  if (properties.authenticationData !== undefined && properties.authenticationMethod === undefined) {
    throw protocolError('Authentication data without a method') // §3.1.2.11.10
  }
  const clientId = reader.string() // [MQTT-3.1.3-3], [MQTT-3.1.3-4]
  const will = flags & WILL ? readWill(reader, flags, level) : null // [MQTT-3.1.3-1]: in this order
  // 3.1 §3.1: clients older than the flags may announce what they do not send.
  const isThere = (flag: number) => (flags & flag) !== 0 && (version !== 3 || reader.left > 0)
  const username = isThere(USERNAME) ? reader.string() : null
  const password = isThere(PASSWORD) ? reader.binary() : null
  reader.finish()
  const [isVersion31, cleanStart] = [version === 3, (flags & CLEAN_START) !== 0]
  return { level, isVersion31, cleanStart, keepAlive, clientId, username, password, will, properties }
}

/** The level that a refused CONNECT was sent in, so that it can be answered; null: none that is spoken here. */
export function connectLevel(buffer: Buffer, start: number, end: number): Level | null {
  try {
    const version = readVersion(new Reader(buffer, start, end))
    return version === 3 ? 4 : version
  } catch (error) {
    if (error instanceof Malformed) return null
    throw error
  }
}

function readVersion(reader: Reader): Level | 3 {
  const name = reader.string()
  if (name !== 'MQTT' && name !== 'MQIsdp') throw new Malformed(reason.unsupportedVersion, 'This is not MQTT') // [MQTT-3.1.2-1]
  const level = reader.u8()
  if (name === 'MQIsdp' && level === 3) return 3
  if (name === 'MQIsdp' || (level !== 4 && level !== 5)) throw new UnsupportedVersion(level) // [MQTT-3.1.2-2]
  return level
}

function checkFlags(flags: number, level: Level): void {
  if (flags & RESERVED) throw malformed('The reserved connect flag is set') // [MQTT-3.1.2-3]
  const qos = (flags >> 3) & 3
  if (qos === 3) throw malformed('The QoS of the Will is 3') // [MQTT-3.1.2-12]
  if (!(flags & WILL) && (qos !== 0 || flags & WILL_RETAIN)) {
    throw malformed('Flags of a Will without a Will') // [MQTT-3.1.2-11], [MQTT-3.1.2-13]
  }
  if (level === 4 && flags & PASSWORD && !(flags & USERNAME)) {
    throw malformed('A password without a user name') // 3.1.1 [MQTT-3.1.2-22]
  }
}

function readWill(reader: Reader, flags: number, level: Level): Will {
  const properties = level === 5 ? readProperties(reader, packetType.WILL) : {}
  const topic = reader.string() // [MQTT-3.1.3-11]
  const payload = reader.binary()
  if (!isTopicName(topic)) throw new Malformed(reason.topicNameInvalid, 'The topic of the Will is not a topic name')
  return { topic, payload, qos: ((flags >> 3) & 3) as 0 | 1 | 2, retain: (flags & WILL_RETAIN) !== 0, properties }
}
