// Table 2-4 of MQTT 5 §2.2.2.2, written down a second time: identifier, name, one value as bytes and decoded, packets.
import type { packetType } from '../../broker/mqtt/codec/packet-type.ts'

type Type = keyof typeof packetType
export type PropertyRow = readonly [id: string, name: string, bytes: string, value: unknown, packets: readonly Type[]]

/** The packets that carry properties. */
export const carriers: readonly Type[] = [
  'WILL',
  'CONNECT',
  'CONNACK',
  'PUBLISH',
  'PUBACK',
  'PUBREC',
  'PUBREL',
  'PUBCOMP',
  'SUBSCRIBE',
  'SUBACK',
  'UNSUBSCRIBE',
  'UNSUBACK',
  'DISCONNECT',
  'AUTH',
]

const answers: readonly Type[] = [
  'CONNACK',
  'PUBACK',
  'PUBREC',
  'PUBREL',
  'PUBCOMP',
  'SUBACK',
  'UNSUBACK',
  'DISCONNECT',
  'AUTH',
]

export const propertyRows: readonly PropertyRow[] = [
  ['01', 'payloadFormatIndicator', '01', 1, ['PUBLISH', 'WILL']],
  ['02', 'messageExpiryInterval', '00 00 0e 10', 3600, ['PUBLISH', 'WILL']],
  ['03', 'contentType', `'text/plain'`, 'text/plain', ['PUBLISH', 'WILL']],
  ['08', 'responseTopic', `'r/t'`, 'r/t', ['PUBLISH', 'WILL']],
  ['09', 'correlationData', '00 02 00 ff', Buffer.from([0, 0xff]), ['PUBLISH', 'WILL']],
  ['0b', 'subscriptionIdentifier', '80 01', 128, ['PUBLISH', 'SUBSCRIBE']],
  ['11', 'sessionExpiryInterval', 'ff ff ff ff', 0xffff_ffff, ['CONNECT', 'CONNACK', 'DISCONNECT']],
  ['12', 'assignedClientIdentifier', `'id'`, 'id', ['CONNACK']],
  ['13', 'serverKeepAlive', '00 3c', 60, ['CONNACK']],
  ['15', 'authenticationMethod', `'M'`, 'M', ['CONNECT', 'CONNACK', 'AUTH']],
  ['16', 'authenticationData', `'d'`, Buffer.from('d'), ['CONNECT', 'CONNACK', 'AUTH']],
  ['17', 'requestProblemInformation', '00', 0, ['CONNECT']],
  ['18', 'willDelayInterval', '00 00 00 0a', 10, ['WILL']],
  ['19', 'requestResponseInformation', '01', 1, ['CONNECT']],
  ['1a', 'responseInformation', `'u/a/rpc/'`, 'u/a/rpc/', ['CONNACK']],
  ['1c', 'serverReference', `'other:1883'`, 'other:1883', ['CONNACK', 'DISCONNECT']],
  ['1f', 'reasonString', `'why'`, 'why', answers],
  ['21', 'receiveMaximum', 'ff ff', 65_535, ['CONNECT', 'CONNACK']],
  ['22', 'topicAliasMaximum', '00 00', 0, ['CONNECT', 'CONNACK']],
  ['23', 'topicAlias', '00 01', 1, ['PUBLISH']],
  ['24', 'maximumQoS', '01', 1, ['CONNACK']],
  ['25', 'retainAvailable', '00', 0, ['CONNACK']],
  ['26', 'userProperties', `'k' 'v'`, [['k', 'v']], carriers],
  ['27', 'maximumPacketSize', '00 00 00 01', 1, ['CONNECT', 'CONNACK']],
  ['28', 'wildcardSubscriptionAvailable', '01', 1, ['CONNACK']],
  ['29', 'subscriptionIdentifierAvailable', '01', 1, ['CONNACK']],
  ['2a', 'sharedSubscriptionAvailable', '00', 0, ['CONNACK']],
]
