// The PROXY protocol, versions 1 and 2: what a proxy says of the peer before that peer's own bytes. Pure.
// https://www.haproxy.org/download/2.9/doc/proxy-protocol.txt
import { isIPv4, isIPv6 } from 'node:net'
import { plainAddress } from './network.ts'

/** `address` null: the proxy speaks for itself, or of an address that is none of TCP/IP. */
export type ProxyHeader = Readonly<{ length: number; address: string | null }>

const signature = Buffer.from('\r\n\r\n\0\r\nQUIT\n', 'latin1')
const crlf = Buffer.from('\r\n')
/** With its line end (§2.1). */
const maxLineBytes = 107
/** Of version 2 behind its 16 bytes. Addresses take 216 at most; what else proxies add stays far below. */
const maxBodyBytes = 4096

/** Wants no more than is needed to decide: `incomplete` is bounded. */
export function readProxyHeader(bytes: Buffer): ProxyHeader | 'incomplete' | 'malformed' {
  if (bytes.length === 0) return 'incomplete'
  return bytes[0] === signature[0] ? readBinary(bytes) : readLine(bytes)
}

/** §2.1 */
function readLine(bytes: Buffer): ProxyHeader | 'incomplete' | 'malformed' {
  const begin = bytes.toString('latin1', 0, 6)
  if (!'PROXY '.startsWith(begin)) return 'malformed'
  const end = bytes.subarray(0, maxLineBytes).indexOf(crlf)
  if (end === -1) return bytes.length < maxLineBytes ? 'incomplete' : 'malformed'
  const [, family, ...fields] = bytes.toString('latin1', 0, end).split(' ')
  const length = end + crlf.length
  if (family === 'UNKNOWN') return { length, address: null }
  const isAddress = family === 'TCP4' ? isIPv4 : family === 'TCP6' ? isIPv6 : () => false
  const [source = '', destination = '', ...ports] = fields
  const isGood = isAddress(source) && isAddress(destination) && ports.length === 2 && ports.every(isPort)
  return isGood && !source.includes('%') ? { length, address: plainAddress(source) } : 'malformed'
}

function isPort(text: string): boolean {
  return /^(0|[1-9]\d{0,4})$/.test(text) && Number(text) <= 0xffff
}

/** §2.2 */
function readBinary(bytes: Buffer): ProxyHeader | 'incomplete' | 'malformed' {
  const begun = Math.min(bytes.length, signature.length)
  if (bytes.compare(signature, 0, begun, 0, begun) !== 0) return 'malformed'
  if (bytes.length < 16) return 'incomplete'
  const command = bytes.readUInt8(12)
  const bodyBytes = bytes.readUInt16BE(14)
  if ((command !== 0x20 && command !== 0x21) || bodyBytes > maxBodyBytes) return 'malformed'
  const length = 16 + bodyBytes
  if (bytes.length < length) return 'incomplete'
  // LOCAL: the proxy's own, whatever stands there.
  if (command === 0x20) return { length, address: null }
  const address = readAddress(bytes.readUInt8(13), bytes.subarray(16, length))
  return address === 'malformed' ? address : { length, address }
}

function readAddress(family: number, body: Buffer): string | null {
  // Unspecified; a Unix socket.
  if (family === 0x00 || family === 0x31) return null
  if (family === 0x11 && body.length >= 12) return body.subarray(0, 4).join('.')
  if (family === 0x21 && body.length >= 36) return plainAddress(toIpv6(body.subarray(0, 16)))
  return 'malformed'
}

function toIpv6(bytes: Buffer): string {
  const groups = Array.from({ length: 8 }, (_, index) => bytes.readUInt16BE(index * 2).toString(16))
  const isMapped = groups.slice(0, 6).join() === '0,0,0,0,0,ffff'
  return isMapped
    ? `::ffff:${bytes.subarray(12).join('.')}`
    : new URL(`http://[${groups.join(':')}]`).hostname.slice(1, -1)
}
