// Table: PUBREC, PUBREL, PUBCOMP (MQTT 5 §3.5 to §3.7).
import type { Invalid, Valid } from './mqtt-decode.ts'

export const validHandshakes: readonly Valid[] = [
  { name: '3.1.1, PUBREC', level: 4, packet: '50 02 00 01', is: { packetId: 1 } },
  { name: '3.1.1, PUBREL', level: 4, packet: '62 02 00 01', is: { packetId: 1 } },
  { name: '3.1.1, PUBCOMP', level: 4, packet: '70 02 ff ff', is: { packetId: 65_535 } },
  { name: '5, PUBREC, success (§3.5.2.1)', packet: '50 02 00 01', is: { packetId: 1 } },
  { name: '5, PUBREC, nobody subscribes', packet: '50 03 00 01 10', is: { packetId: 1, reasonCode: 0x10 } },
  { name: '5, PUBREC, refused', packet: '50 03 00 01 97', is: { packetId: 1, reasonCode: 0x97 } },
  { name: '5, PUBREL, success (§3.6.2.1)', packet: '62 02 00 01', is: { packetId: 1 } },
  { name: '5, PUBREL, not found', packet: '62 03 00 01 92', is: { packetId: 1, reasonCode: 0x92 } },
  { name: '5, PUBCOMP, not found (§3.7.2.1)', packet: '70 03 00 01 92', is: { packetId: 1, reasonCode: 0x92 } },
  { name: '5, PUBREC with properties (§3.5.2.2)', packet: `50 ~ 00 01 00 { 1f 'r' 26 'k' 'v' }`, is: { packetId: 1 } },
  { name: '5, PUBREL with properties (§3.6.2.2)', packet: `62 ~ 00 01 00 { 1f 'r' 26 'k' 'v' }`, is: { packetId: 1 } },
  { name: '5, PUBCOMP, an empty list of properties', packet: '70 04 00 01 00 00', is: { packetId: 1 } },
]

export const invalidHandshakes: readonly Invalid[] = [
  { name: 'PUBREC, half a packet identifier', packet: '50 01 00', reason: 0x81 },
  { name: 'PUBREL, packet identifier 0 [MQTT-2.2.1-5]', packet: '62 02 00 00', reason: 0x82 },
  { name: '3.1.1, PUBCOMP with a reason code (3.1.1 §3.7.1)', level: 4, packet: '70 03 00 01 00', reason: 0x81 },
  { name: 'PUBREC with the reason of a PUBREL [MQTT-3.5.2-1]', packet: '50 03 00 01 92', reason: 0x82 },
  { name: 'PUBREL with the reason of a PUBREC [MQTT-3.6.2-1]', packet: '62 03 00 01 10', reason: 0x82 },
  { name: 'PUBCOMP with an unknown reason [MQTT-3.7.2-1]', packet: '70 03 00 01 80', reason: 0x82 },
  { name: 'PUBREL without its flag [MQTT-3.6.1-1]', packet: '60 02 00 01', reason: 0x81 },
  { name: 'PUBREL with one flag too many [MQTT-3.6.1-1]', packet: '63 02 00 01', reason: 0x81 },
  { name: 'PUBREC with a flag [MQTT-2.1.3-1]', packet: '52 02 00 01', reason: 0x81 },
  { name: 'PUBCOMP, properties longer than the packet', packet: '70 04 00 01 00 01', reason: 0x81 },
  { name: 'PUBREL, a property of PUBLISH (§2.2.2.2)', packet: '62 ~ 00 01 00 { 01 01 }', reason: 0x81 },
]
