// Table 2-4 of MQTT 5 §2.2.2.2: every property, its type, and the packets in which it may stand.
import { packetType } from './packet-type.ts'

type Numbers = Partial<
  Record<
    | 'payloadFormatIndicator'
    | 'messageExpiryInterval'
    | 'subscriptionIdentifier'
    | 'sessionExpiryInterval'
    | 'serverKeepAlive'
    | 'requestProblemInformation'
    | 'willDelayInterval'
    | 'requestResponseInformation'
    | 'receiveMaximum'
    | 'topicAliasMaximum'
    | 'topicAlias'
    | 'maximumQoS'
    | 'retainAvailable'
    | 'maximumPacketSize'
    | 'wildcardSubscriptionAvailable'
    | 'subscriptionIdentifierAvailable'
    | 'sharedSubscriptionAvailable',
    number
  >
>

type Strings = Partial<
  Record<
    | 'contentType'
    | 'responseTopic'
    | 'assignedClientIdentifier'
    | 'authenticationMethod'
    | 'responseInformation'
    | 'serverReference'
    | 'reasonString',
    string
  >
>

type Binaries = Partial<Record<'correlationData' | 'authenticationData', Buffer>>

/** Names and units are the specification's; absent ones are absent. */
export type Properties = Numbers &
  Strings &
  Binaries & {
    /** Of PUBLISH, where it may repeat; SUBSCRIBE has `subscriptionIdentifier`. */
    subscriptionIdentifiers?: number[]
    /** In the order of the packet. */
    userProperties?: [name: string, value: string][]
  }

type Place = Readonly<{
  id: number
  /** Bit 1 << type for each packet type that may carry it. */
  packets: number
}>

export type IntegerEntry = Place &
  Readonly<{ name: keyof Numbers; type: 'byte' | 'u16' | 'u32' | 'varint'; min?: number; max?: number }>

export type Entry =
  | IntegerEntry
  | (Place & Readonly<{ name: keyof Strings; type: 'string' }>)
  | (Place & Readonly<{ name: keyof Binaries; type: 'binary' }>)
  | (Place & Readonly<{ name: 'userProperties'; type: 'pair' }>)

const { WILL, CONNECT, CONNACK, PUBLISH, SUBSCRIBE, DISCONNECT, AUTH, PINGREQ, PINGRESP } = packetType
const of = (...types: number[]): number => types.reduce((bits, type) => bits | (1 << type), 0)
const all = 0xffff & ~of(PINGREQ, PINGRESP)
const session = of(CONNECT, CONNACK)
const message = of(PUBLISH, WILL)
const outcome = all & ~of(WILL, CONNECT, PUBLISH, SUBSCRIBE, packetType.UNSUBSCRIBE)
const connack = of(CONNACK)
const flag = { type: 'byte', max: 1 } as const

export const propertyTable: readonly Entry[] = [
  { id: 0x01, name: 'payloadFormatIndicator', ...flag, packets: message },
  { id: 0x02, name: 'messageExpiryInterval', type: 'u32', packets: message },
  { id: 0x03, name: 'contentType', type: 'string', packets: message },
  { id: 0x08, name: 'responseTopic', type: 'string', packets: message },
  { id: 0x09, name: 'correlationData', type: 'binary', packets: message },
  { id: 0x0b, name: 'subscriptionIdentifier', type: 'varint', min: 1, packets: of(PUBLISH, SUBSCRIBE) },
  { id: 0x11, name: 'sessionExpiryInterval', type: 'u32', packets: session | of(DISCONNECT) },
  { id: 0x12, name: 'assignedClientIdentifier', type: 'string', packets: connack },
  { id: 0x13, name: 'serverKeepAlive', type: 'u16', packets: connack },
  { id: 0x15, name: 'authenticationMethod', type: 'string', packets: session | of(AUTH) },
  { id: 0x16, name: 'authenticationData', type: 'binary', packets: session | of(AUTH) },
  { id: 0x17, name: 'requestProblemInformation', ...flag, packets: of(CONNECT) },
  { id: 0x18, name: 'willDelayInterval', type: 'u32', packets: of(WILL) },
  { id: 0x19, name: 'requestResponseInformation', ...flag, packets: of(CONNECT) },
  { id: 0x1a, name: 'responseInformation', type: 'string', packets: connack },
  { id: 0x1c, name: 'serverReference', type: 'string', packets: of(CONNACK, DISCONNECT) },
  { id: 0x1f, name: 'reasonString', type: 'string', packets: outcome },
  { id: 0x21, name: 'receiveMaximum', type: 'u16', min: 1, packets: session },
  { id: 0x22, name: 'topicAliasMaximum', type: 'u16', packets: session },
  { id: 0x23, name: 'topicAlias', type: 'u16', min: 1, packets: of(PUBLISH) },
  { id: 0x24, name: 'maximumQoS', ...flag, packets: connack },
  { id: 0x25, name: 'retainAvailable', ...flag, packets: connack },
  { id: 0x26, name: 'userProperties', type: 'pair', packets: all },
  { id: 0x27, name: 'maximumPacketSize', type: 'u32', min: 1, packets: session },
  { id: 0x28, name: 'wildcardSubscriptionAvailable', ...flag, packets: connack },
  { id: 0x29, name: 'subscriptionIdentifierAvailable', ...flag, packets: connack },
  { id: 0x2a, name: 'sharedSubscriptionAvailable', ...flag, packets: connack },
]
