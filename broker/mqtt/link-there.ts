// The end of a link at the other broker: a persistent session there, over TCP or TLS. MQTT 5 §3.1, 3.1.1 §3.1
import { readFile } from 'node:fs/promises'
import { connect, isIP } from 'node:net'
import type { Duplex } from 'node:stream'
import { connect as connectTls } from 'node:tls'
import type { IConnackPacket, IConnectPacket } from 'mqtt-packet'
import type { LinkConfig } from '../link-config.ts'
import { linkReceiveMaximum } from './link-here.ts'
import { type LinkWire, openLinkWire } from './link-wire.ts'

export type There = Readonly<{ wire: LinkWire; connack: IConnackPacket }>

type Options = Readonly<{
  clientId: string
  clean: boolean
  /** 3.1.1: says that it is a bridge, as Mosquitto's do. */
  isBridge: boolean
  maxPacketBytes: number
  /** Ends the wait for the answer. */
  stopping: AbortSignal
}>

export const keepAliveSeconds = 60
const neverExpires = 0xffff_ffff

/** Connected, and not read from until `resume`. The answer may be a refusal. @throws when there is none */
export async function openThere(link: LinkConfig, options: Options): Promise<There> {
  const { maxPacketBytes, stopping } = options
  const version = link.protocolVersion ?? 5
  const password = await passwordOf(link)
  const stream = await dial(link)
  const wire = openLinkWire(stream, { version, maxPacketBytes: maxPacketBytes + 65_536 })
  const packet = toConnect(link, options)
  if (password !== undefined) packet.password = password
  const giveUp = (): void => void stream.destroy()
  stopping.addEventListener('abort', giveUp)
  if (stopping.aborted) giveUp()
  try {
    const answer = wire.next('connack')
    wire.write(packet)
    const connack = await answer
    stream.pause()
    return { wire, connack }
  } finally {
    stopping.removeEventListener('abort', giveUp)
  }
}

/** 0: let in. */
export function refusalOf({ returnCode, reasonCode }: IConnackPacket): number {
  return reasonCode ?? returnCode ?? 0
}

async function dial({ url, ca }: LinkConfig): Promise<Duplex> {
  const { protocol, hostname, port } = new URL(url)
  const host = hostname.replace(/^\[|\]$/g, '')
  if (protocol === 'mqtt:') return connect({ host, port: Number(port || 1883), noDelay: true })
  const servername = isIP(host) === 0 ? { servername: host } : {}
  const authorities = ca === undefined ? {} : { ca: await readFile(ca) }
  return connectTls({ host, port: Number(port || 8883), ...servername, ...authorities })
}

function toConnect({ protocolVersion = 5, username }: LinkConfig, options: Options): IConnectPacket {
  const { clientId, clean, isBridge, maxPacketBytes } = options
  const packet: IConnectPacket = {
    cmd: 'connect',
    clientId,
    clean,
    keepalive: keepAliveSeconds,
    protocolId: 'MQTT',
    protocolVersion,
  }
  if (username !== undefined) packet.username = username
  if (protocolVersion === 4) return { ...packet, bridgeMode: isBridge } as IConnectPacket
  const limits = { receiveMaximum: linkReceiveMaximum, maximumPacketSize: maxPacketBytes }
  return { ...packet, properties: { sessionExpiryInterval: neverExpires, ...limits } }
}

async function passwordOf({ password, passwordFile }: LinkConfig): Promise<Buffer | undefined> {
  if (passwordFile !== undefined) return Buffer.from((await readFile(passwordFile, 'utf8')).replace(/[\r\n]+$/, ''))
  return password === undefined ? undefined : Buffer.from(password)
}
