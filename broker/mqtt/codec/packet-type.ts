// MQTT 5 §2.1.2, 3.1.1 §2.2.1

/** Control packet types as they stand in the fixed header; `WILL` stands for the Will Properties inside CONNECT. */
export const packetType = {
  WILL: 0,
  CONNECT: 1,
  CONNACK: 2,
  PUBLISH: 3,
  PUBACK: 4,
  PUBREC: 5,
  PUBREL: 6,
  PUBCOMP: 7,
  SUBSCRIBE: 8,
  SUBACK: 9,
  UNSUBSCRIBE: 10,
  UNSUBACK: 11,
  PINGREQ: 12,
  PINGRESP: 13,
  DISCONNECT: 14,
  AUTH: 15,
} as const

/** Protocol level of CONNECT: 4 is MQTT 3.1.1, 5 is MQTT 5. */
export type Level = 4 | 5
