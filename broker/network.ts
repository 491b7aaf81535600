// From where a peer comes: what its address says, and what counts as one for limits. Pure.
import { BlockList, isIP, isIPv6 } from 'node:net'
import type { Duplex } from 'node:stream'

/** Who is at the other end of a connection, whatever stands between. */
export type Peer = Readonly<{
  /** IP address, or `unixPeer`; '' when it is not known. */
  address: string
  /** Over TLS, or from this very machine: nobody on the way can read along. */
  isSecure: boolean
}>

/** Stands for the address of every peer at a Unix socket. */
export const unixPeer = 'unix'

/** What a connection goes over. */
export type Carrier = Duplex & {
  /** To be called when the peer has logged in: where there is such a function, little of a stranger's input is kept. */
  trust?(): void
}

const loopback = new BlockList()
loopback.addSubnet('127.0.0.0', 8, 'ipv4')
loopback.addAddress('::1', 'ipv6')

/** An IPv4 address in the clothes of IPv6, as a socket on `::` shows it, is that IPv4 address. */
export function plainAddress(address: string): string {
  return /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(address)?.[1] ?? address
}

/** What a proxy writes of a peer, without a port and brackets; '' when it is no IP address. */
export function toAddress(text: string): string {
  const bare = /^\[([^\]]+)\](?::\d+)?$/.exec(text)?.[1] ?? /^([\d.]+):\d+$/.exec(text)?.[1] ?? text
  const plain = plainAddress(bare)
  return isIP(plain) === 0 ? '' : plain
}

export function isLoopback(address: string): boolean {
  const plain = plainAddress(address)
  return loopback.check(plain, isIPv6(plain) ? 'ipv6' : 'ipv4')
}

export type IsTrusted = (address: string) => boolean

/** Of addresses and networks such as `10.0.0.0/8`. */
export function createTrust(networks: readonly string[]): IsTrusted {
  const trusted = new BlockList()
  for (const network of networks) {
    const [address = '', bits] = network.split('/')
    const family = isIPv6(address) ? 'ipv6' : 'ipv4'
    if (bits === undefined) trusted.addAddress(address, family)
    else trusted.addSubnet(address, Number(bits), family)
  }
  return (address) => {
    const plain = plainAddress(address)
    return isIP(plain) !== 0 && trusted.check(plain, isIPv6(plain) ? 'ipv6' : 'ipv4')
  }
}

/** An IPv4 address as it is; an IPv6 address by its /64, because whoever has one has all of them. */
export function networkOf(address: string): string {
  const bare = address.split('%', 1)[0] ?? ''
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(bare)?.[1]
  if (mapped !== undefined) return mapped
  if (!isIPv6(bare)) return bare
  const [left = '', right] = bare.toLowerCase().split('::')
  const groups = left === '' ? [] : left.split(':')
  if (right !== undefined) {
    const behind = right === '' ? 0 : right.split(':').length
    while (groups.length + behind < 8) groups.push('0')
    if (right !== '') groups.push(...right.split(':'))
  }
  const network = groups.slice(0, 4).map((group) => Number.parseInt(group, 16).toString(16))
  return `${network.join(':')}::/64`
}
