// MQTT 5 §4.13, and the Reason String of each packet: what a client may read beside the code of a refusal.
import { type AckType, encodeAck } from './codec/ack.ts'
import { writeConnack } from './codec/connack.ts'
import { writeDisconnect } from './codec/disconnect.ts'
import type { Level } from './codec/packet-type.ts'
import type { Properties } from './codec/properties.ts'

/** What the client has said of it in CONNECT. */
export type Hearing = Readonly<{
  /** Request Problem Information: reasons and user properties in acknowledgements [MQTT-3.1.2-29]. 3.1.1 has none. */
  problemInformation: boolean
  /** Infinity: no limit. */
  maxPacketBytes: number
}>

/** One for all causes of a code, so that none tells which of them it was: whether an account exists, above all. */
const sentences: Readonly<Record<number, string>> = {
  128: 'The server failed; the fault is logged.',
  131: 'The server failed; the fault is logged.',
  133: 'This client id cannot be taken.',
  134: 'The user name or the password is wrong.',
  135: 'This client may not do that.',
  137: 'The server cannot take this now; try again later.',
  138: 'This client has lost its connection too often; it is kept out for a while.',
  139: 'The server is shutting down.',
  140: 'This authentication method is not known here.',
  141: 'Nothing came for one and a half times the keep alive.',
  142: 'Another connection has taken over this session.',
  143: 'The topic filter is not spelled as it must be, or is too long.',
  144: 'The topic is not spelled as it must be, or is too long.',
  151: 'A quota is used up.',
  152: 'This login has been ended, or has run out.',
  153: 'The payload is not what this place accepts.',
  158: 'This filter cannot be shared.',
  159: 'Too many have come, or too many logins have failed; try again later.',
}

/** Undefined: it is no refusal, or the code says it all. */
function sentenceOf(reasonCode: number): string | undefined {
  return sentences[reasonCode]
}

/**
 * A packet without its `extra` where that would make it larger than the client takes: [MQTT-3.2.2-19], [MQTT-3.4.2-2],
 * [MQTT-3.4.2-3], [MQTT-3.5.2-2], [MQTT-3.5.2-3], [MQTT-3.9.2-1], [MQTT-3.14.2-3].
 */
export function fitting<T>(maxPacketBytes: number, extra: T | undefined, write: (extra?: T) => Buffer): Buffer {
  const packet = write(extra)
  return extra === undefined || packet.length <= maxPacketBytes ? packet : write()
}

/** `sentence`: when it can say more than the code. */
type Refusal = Readonly<{ reasonCode: number; sentence?: string | undefined }>

/** A CONNACK that refuses; 3.1.1 hears its return code alone. */
export function refusingConnack(level: Level, maxPacketBytes: number, refusal: Refusal): Buffer {
  const { reasonCode, sentence = sentenceOf(reasonCode) } = refusal
  return fitting(maxPacketBytes, sentence, (reasonString) =>
    writeConnack(level, { sessionPresent: false, reasonCode, properties: reasonString ? { reasonString } : {} }),
  )
}

/** The server's DISCONNECT; no refusal when the code is 0. */
export function toldDisconnect(maxPacketBytes: number, { reasonCode, sentence }: Refusal): Buffer {
  return fitting(maxPacketBytes, sentence ?? sentenceOf(reasonCode), (text) => writeDisconnect(reasonCode, text))
}

type Answered = Readonly<{ type: AckType; packetId: number; reasonCode: number }>

/** PUBACK or PUBREC of MQTT 5; `text` is the sentence of a refusal, else the id of the chat message. */
export function toldAck(hearing: Hearing, { type, packetId, reasonCode }: Answered, text: string): Buffer {
  const told: Properties = reasonCode >= 0x80 ? { reasonString: text } : { userProperties: [['cb-id', text]] }
  const extra = hearing.problemInformation ? told : undefined // [MQTT-3.1.2-29]
  return fitting(hearing.maxPacketBytes, extra, (properties) => encodeAck(5, type, packetId, reasonCode, properties))
}

/** Of a SUBACK: why filters are refused; undefined: none is, or the client does not want to know. */
export function refusedFilters(hearing: Hearing, reasonCodes: readonly number[]): Properties | undefined {
  if (!hearing.problemInformation || !reasonCodes.some((code) => code >= 0x80)) return undefined
  const reasons = new Set(reasonCodes.map(sentenceOf).filter((sentence) => sentence !== undefined))
  return { reasonString: [...reasons].join(' ') }
}
