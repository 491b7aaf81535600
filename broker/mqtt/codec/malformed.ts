// What a decoder throws, with the reason code that MQTT 5 answers (§4.13).

/** Reason codes that the codec itself gives or translates (MQTT 5 §2.4). */
export const reason = {
  malformedPacket: 0x81,
  protocolError: 0x82,
  unsupportedVersion: 0x84,
  topicFilterInvalid: 0x8f,
  topicNameInvalid: 0x90,
  topicAliasInvalid: 0x94,
  packetTooLarge: 0x95,
  payloadFormatInvalid: 0x99,
  qosNotSupported: 0x9b,
} as const

/** A packet that the specification forbids. MQTT 5 answers `reason`, 3.1.1 closes; in both the connection ends. */
export class Malformed extends Error {
  readonly reason: number

  constructor(reason: number, detail: string) {
    super(detail)
    this.name = 'Malformed'
    this.reason = reason
  }
}

/** A CONNECT in a version that is not spoken here. */
export class UnsupportedVersion extends Malformed {
  readonly level: number
  /** Whose CONNACK the client understands: 4 answers return code 1, 5 answers 0x84. */
  readonly answer: 4 | 5

  constructor(level: number) {
    super(reason.unsupportedVersion, `Protocol level ${level} is not supported`)
    this.name = 'UnsupportedVersion'
    this.level = level
    this.answer = (level & 0x7f) < 5 ? 4 : 5 // bridges of Mosquitto set the high bit
  }
}

/** 0x81: the bytes cannot be parsed. */
export function malformed(detail: string): Malformed {
  return new Malformed(reason.malformedPacket, detail)
}

/** 0x82: parsed, but not allowed. */
export function protocolError(detail: string): Malformed {
  return new Malformed(reason.protocolError, detail)
}
