// Table: SUBSCRIBE and UNSUBSCRIBE as bytes, and what they say or why they are refused (MQTT 5 §3.8, §3.10, §4.7, §4.8).
import type { Invalid, Valid } from './mqtt-decode.ts'

const subscription = { valid: true, qos: 0, noLocal: false, retainAsPublished: false, retainHandling: 0 }
const one = (filter: string, more: object = {}) => ({
  packetId: 1,
  subscriptions: [{ ...subscription, filter, ...more }],
})

export const validSubscribes: readonly Valid[] = [
  { name: '3.1.1, one filter', level: 4, packet: `82 ~ 00 01 'a/b' 00`, is: one('a/b') },
  { name: '3.1.1, QoS 2 asked for [MQTT-3.2.2-10]', level: 4, packet: `82 ~ 00 01 'a' 02`, is: one('a', { qos: 2 }) },
  {
    name: '3.1.1, two filters (figure 3.21)',
    level: 4,
    packet: `82 ~ 00 0a 'a/b' 01 'c/d' 02`,
    is: {
      packetId: 10,
      subscriptions: [
        { ...subscription, filter: 'a/b', qos: 1 },
        { ...subscription, filter: 'c/d', qos: 2 },
      ],
    },
  },
  { name: '5, one filter', packet: `82 ~ 00 01 {} 'a' 01`, is: one('a', { qos: 1 }) },
  {
    name: '5, all options (§3.8.3.1)',
    packet: `82 ~ 00 01 {} 'a' 2e`,
    is: one('a', { qos: 2, noLocal: true, retainAsPublished: true, retainHandling: 2 }),
  },
  { name: '5, retain handling 1 (§3.8.3.1)', packet: `82 ~ 00 01 {} 'a' 10`, is: one('a', { retainHandling: 1 }) },
  {
    name: '5, with a subscription identifier (§3.8.2.1.2)',
    packet: `82 ~ 00 01 { 0b ff ff ff 7f 26 'k' 'v' } 'a' 00`,
    is: {
      ...one('a'),
      subscriptionIdentifier: 268_435_455,
      properties: { subscriptionIdentifier: 268_435_455, userProperties: [['k', 'v']] },
    },
  },
  { name: 'everything [MQTT-4.7.1-1]', packet: `82 ~ 00 01 {} '#' 00`, is: one('#') },
  { name: 'hash at the end [MQTT-4.7.1-1]', packet: `82 ~ 00 01 {} 'a/#' 00`, is: one('a/#') },
  { name: 'plus alone [MQTT-4.7.1-2]', packet: `82 ~ 00 01 {} '+' 00`, is: one('+') },
  { name: 'both [MQTT-4.7.1-2]', packet: `82 ~ 00 01 {} '+/a/+/#' 00`, is: one('+/a/+/#') },
  { name: 'empty levels (§4.7.3)', packet: `82 ~ 00 01 {} '//' 00`, is: one('//') },
  { name: 'a shared filter (§4.8.2)', packet: `82 ~ 00 01 {} '$share/g/a/+' 00`, is: one('$share/g/a/+') },
  { name: 'a shared filter of one slash (§4.8.2)', packet: `82 ~ 00 01 {} '$share/g//' 00`, is: one('$share/g//') },
  { name: '$share without a slash is a level like others', packet: `82 ~ 00 01 {} '$share' 00`, is: one('$share') },
  { name: 'a filter outside ASCII [MQTT-3.8.3-1]', level: 4, packet: `82 ~ 00 01 'ü/#' 00`, is: one('ü/#') },
  ...[
    '',
    'a#',
    'a/#/b',
    '##',
    '#/',
    'a+',
    '+a/b',
    'a/++',
    '$share/',
    '$share/g',
    '$share/g/',
    '$share//a',
    '$share/+/a',
    '$share/#/a',
    '$share/g/a#',
  ].map((filter) => ({
    name: `«${filter}» is no filter: refused in the SUBACK (§4.7, §4.8.2)`,
    packet: `82 ~ 00 01 {} '${filter}' 00`,
    is: one(filter, { valid: false }),
  })),
]

export const invalidSubscribes: readonly Invalid[] = [
  { name: 'nothing at all', packet: '82 00', reason: 0x81 },
  { name: 'no filter [MQTT-3.8.3-2]', packet: '82 ~ 00 01 {}', reason: 0x82 },
  { name: '3.1.1, no filter [MQTT-3.8.3-3]', level: 4, packet: '82 ~ 00 01', reason: 0x82 },
  { name: 'no property length [MQTT-2.2.2-1]', packet: '82 ~ 00 01', reason: 0x81 },
  { name: 'packet identifier 0 [MQTT-2.2.1-3]', packet: `82 ~ 00 00 {} 'a' 00`, reason: 0x82 },
  { name: '3.1.1, packet identifier 0 [MQTT-2.3.1-1]', level: 4, packet: `82 ~ 00 00 'a' 00`, reason: 0x82 },
  { name: 'no options', packet: `82 ~ 00 01 {} 'a'`, reason: 0x81 },
  { name: 'the second filter without options', packet: `82 ~ 00 01 {} 'a' 00 'b'`, reason: 0x81 },
  { name: 'the flags of other packets [MQTT-3.8.1-1]', packet: `80 ~ 00 01 {} 'a' 00`, reason: 0x81 },
  { name: 'QoS 3 (§3.8.3.1)', packet: `82 ~ 00 01 {} 'a' 03`, reason: 0x82 },
  { name: '3.1.1, QoS 3 [MQTT-3.8.3-4]', level: 4, packet: `82 ~ 00 01 'a' 03`, reason: 0x81 },
  { name: 'retain handling 3 (§3.8.3.1)', packet: `82 ~ 00 01 {} 'a' 30`, reason: 0x82 },
  { name: 'reserved bit 6 [MQTT-3.8.3-5]', packet: `82 ~ 00 01 {} 'a' 40`, reason: 0x81 },
  { name: 'reserved bit 7 [MQTT-3.8.3-5]', packet: `82 ~ 00 01 {} 'a' 80`, reason: 0x81 },
  { name: '3.1.1, an option of MQTT 5 [MQTT-3.8.3-4]', level: 4, packet: `82 ~ 00 01 'a' 04`, reason: 0x81 },
  { name: 'No Local on a shared filter [MQTT-3.8.3-4]', packet: `82 ~ 00 01 {} '$share/g/a' 04`, reason: 0x82 },
  { name: 'subscription identifier 0 (§3.8.2.1.2)', packet: `82 ~ 00 01 { 0b 00 } 'a' 00`, reason: 0x82 },
  { name: 'two subscription identifiers (§3.8.2.1.2)', packet: `82 ~ 00 01 { 0b 01 0b 02 } 'a' 00`, reason: 0x82 },
  {
    name: 'a subscription identifier of five bytes (§1.5.5)',
    packet: `82 ~ 00 01 { 0b 80 80 80 80 01 } 'a' 00`,
    reason: 0x81,
  },
  {
    name: 'a subscription identifier with a needless byte [MQTT-1.5.5-1]',
    packet: `82 ~ 00 01 { 0b 81 00 } 'a' 00`,
    reason: 0x81,
  },
  { name: 'a reason string (§2.2.2.2)', packet: `82 ~ 00 01 { 1f 'x' } 'a' 00`, reason: 0x81 },
  { name: 'a filter not in UTF-8 [MQTT-3.8.3-1]', packet: '82 ~ 00 01 {} 00 01 ff 00', reason: 0x81 },
  { name: 'U+0000 in a filter [MQTT-4.7.3-2]', packet: '82 ~ 00 01 {} 00 01 00 00', reason: 0x81 },
]

export const validUnsubscribes: readonly Valid[] = [
  { name: '3.1.1', level: 4, packet: `a2 ~ 00 01 'a' 'b/#'`, is: { packetId: 1, filters: ['a', 'b/#'] } },
  { name: '5', packet: `a2 ~ 00 01 {} 'a'`, is: { packetId: 1, filters: ['a'] } },
  {
    name: '5, with user properties (§3.10.2.1.2)',
    packet: `a2 ~ 00 01 { 26 'k' 'v' } 'a'`,
    is: { packetId: 1, filters: ['a'], properties: { userProperties: [['k', 'v']] } },
  },
]

export const invalidUnsubscribes: readonly Invalid[] = [
  { name: 'nothing at all', packet: 'a2 00', reason: 0x81 },
  { name: 'no filter [MQTT-3.10.3-2]', packet: 'a2 ~ 00 01 {}', reason: 0x82 },
  { name: '3.1.1, no filter [MQTT-3.10.3-2]', level: 4, packet: 'a2 ~ 00 01', reason: 0x82 },
  { name: 'packet identifier 0 [MQTT-2.2.1-3]', packet: `a2 ~ 00 00 {} 'a'`, reason: 0x82 },
  { name: 'the flags of other packets [MQTT-3.10.1-1]', packet: `a0 ~ 00 01 {} 'a'`, reason: 0x81 },
  { name: 'a filter longer than the packet', packet: 'a2 ~ 00 01 {} 00 02 61', reason: 0x81 },
  { name: 'a filter not in UTF-8 [MQTT-3.10.3-1]', packet: 'a2 ~ 00 01 {} 00 02 c3 28', reason: 0x81 },
  { name: 'a subscription identifier (§2.2.2.2)', packet: `a2 ~ 00 01 { 0b 01 } 'a'`, reason: 0x81 },
]
