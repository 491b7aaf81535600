// Table: DISCONNECT, PINGREQ, fixed headers, and what only a server may send (MQTT 5 §2.1, §3.12, §3.14).
import type { Invalid, Valid } from './mqtt-decode.ts'

export const validOthers: readonly Valid[] = [
  { name: '3.1.1, PINGREQ', level: 4, packet: 'c0 00', is: { pingreq: true } },
  { name: '5, PINGREQ', packet: 'c0 00', is: { pingreq: true } },
]

export const validDisconnects: readonly Valid[] = [
  { name: '3.1.1', level: 4, packet: 'e0 00', is: {} },
  { name: '5, nothing said (§3.14.2.1)', packet: 'e0 00', is: {} },
  { name: '5, normal', packet: 'e0 01 00', is: {} },
  { name: '5, send the Will', packet: 'e0 01 04', is: { reasonCode: 4 } },
  { name: '5, an empty list of properties', packet: 'e0 02 04 00', is: { reasonCode: 4 } },
  {
    name: '5, with properties (§3.14.2.2)',
    packet: `e0 ~ 00 { 11 00 00 00 0a 1f 'off' 26 'k' 'v' }`,
    is: { properties: { sessionExpiryInterval: 10, reasonString: 'off', userProperties: [['k', 'v']] } },
  },
]

export const invalidOthers: readonly Invalid[] = [
  { name: '3.1.1, DISCONNECT with a reason (3.1.1 §3.14.1)', level: 4, packet: 'e0 01 00', reason: 0x81 },
  { name: 'DISCONNECT with reserved flags [MQTT-3.14.1-1]', packet: 'e1 00', reason: 0x81 },
  { name: 'DISCONNECT with an unknown reason [MQTT-3.14.2-1]', packet: 'e0 01 01', reason: 0x82 },
  { name: 'DISCONNECT with the reason of a server [MQTT-3.14.2-1]', packet: 'e0 01 8e', reason: 0x82 },
  { name: 'DISCONNECT, properties longer than the packet', packet: 'e0 02 00 05', reason: 0x81 },
  { name: 'DISCONNECT, bytes behind the properties', packet: 'e0 03 00 00 00', reason: 0x81 },
  { name: 'DISCONNECT, expiry twice (§3.14.2.2.2)', packet: 'e0 ~ 00 { 11 00 00 00 01 11 00 00 00 01 }', reason: 0x82 },
  { name: 'DISCONNECT, a property of CONNECT (§2.2.2.2)', packet: 'e0 ~ 00 { 21 00 01 }', reason: 0x81 },
  { name: 'PINGREQ with content (§3.12.1)', packet: 'c0 01 00', reason: 0x81 },
  { name: 'PINGREQ with reserved flags [MQTT-2.1.3-1]', packet: 'c1 00', reason: 0x81 },
  { name: 'CONNECT with reserved flags [MQTT-2.1.3-1]', packet: `11 ~ 'MQTT' 04 02 00 00 'a'`, reason: 0x81 },
  { name: 'type 0 is forbidden (§2.1.2)', packet: '00 00', reason: 0x81 },
  { name: 'AUTH with reserved flags [MQTT-3.15.1-1]', packet: 'f1 00', reason: 0x81 },
  { name: 'CONNACK from a client', packet: '20 02 00 00', reason: 0x82 },
  { name: 'SUBACK from a client', packet: '90 03 00 01 00', reason: 0x82 },
  { name: 'UNSUBACK from a client', packet: 'b0 02 00 01', reason: 0x82 },
  { name: 'PINGRESP from a client', packet: 'd0 00', reason: 0x82 },
  { name: 'a remaining length of five bytes (§1.5.5)', packet: '30 80 80 80 80 01', reason: 0x81 },
  { name: 'a remaining length that has four and goes on (§1.5.5)', packet: '30 ff ff ff ff', reason: 0x81 },
  { name: 'a remaining length with a needless byte [MQTT-1.5.5-1]', packet: 'c0 80 00', reason: 0x81 },
  { name: 'a remaining length with three needless bytes [MQTT-1.5.5-1]', packet: 'e0 80 80 80 00', reason: 0x81 },
  { name: 'too large, known from its header [MQTT-3.2.2-15]', packet: '30 ff ff ff 7f', reason: 0x95 },
]
