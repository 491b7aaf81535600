// Table: AUTH (MQTT 5 §3.15).
import type { Invalid, Valid } from './mqtt-decode.ts'

const method = { authenticationMethod: 'M' }

export const validAuths: readonly Valid[] = [
  { name: 'goes on, without data', packet: `f0 ~ 18 { 15 'M' }`, is: { properties: method } },
  {
    name: 'goes on, with data',
    packet: `f0 ~ 18 { 15 'M' 16 'd' }`,
    is: { properties: { ...method, authenticationData: Buffer.from('d') } },
  },
  { name: 're-authenticates', packet: `f0 ~ 19 { 15 'M' }`, is: { reasonCode: 0x19, properties: method } },
  {
    name: 'all properties (§3.15.2.2)',
    packet: `f0 ~ 18 { 15 'M' 1f 'why' 26 'k' 'v' }`,
    is: { properties: { ...method, reasonString: 'why', userProperties: [['k', 'v']] } },
  },
]

export const invalidAuths: readonly Invalid[] = [
  { name: '3.1.1, type 15 is reserved (3.1.1 §2.2.1)', level: 4, packet: `f0 ~ 18 { 15 'M' }`, reason: 0x81 },
  { name: 'flags [MQTT-3.15.1-1]', packet: `f2 ~ 18 { 15 'M' }`, reason: 0x81 },
  { name: 'nothing said is Success (§3.15.2.1)', packet: 'f0 00', reason: 0x82 },
  { name: 'Success, which a server sends [MQTT-3.15.2-1]', packet: `f0 ~ 00 { 15 'M' }`, reason: 0x82 },
  { name: 'an unknown reason [MQTT-3.15.2-1]', packet: `f0 ~ 87 { 15 'M' }`, reason: 0x82 },
  { name: 'no list of properties', packet: 'f0 01 18', reason: 0x81 },
  { name: 'no method (§3.15.2.2.2)', packet: 'f0 ~ 18 {}', reason: 0x82 },
  { name: 'data without a method (§3.15.2.2.2)', packet: `f0 ~ 18 { 16 'd' }`, reason: 0x82 },
  { name: 'two methods (§3.15.2.2.2)', packet: `f0 ~ 18 { 15 'M' 15 'M' }`, reason: 0x82 },
  { name: 'data twice (§3.15.2.2.3)', packet: `f0 ~ 18 { 15 'M' 16 'd' 16 'd' }`, reason: 0x82 },
  { name: 'a method that is not UTF-8', packet: 'f0 ~ 18 { 15 00 01 ff }', reason: 0x81 },
  { name: 'a property of CONNECT (§2.2.2.2)', packet: `f0 ~ 18 { 15 'M' 21 00 01 }`, reason: 0x81 },
  { name: 'properties longer than the packet', packet: 'f0 02 18 05', reason: 0x81 },
  { name: 'bytes behind the properties', packet: `f0 ~ 18 { 15 'M' } 00`, reason: 0x81 },
]
