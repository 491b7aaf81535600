// WebSocket by hand, valid or not. RFC 6455 §5.2
import { open, type Target } from './hostile-target.ts'

export type FrameFields = Readonly<{
  opcode?: number
  payload?: Buffer | string
  fin?: boolean
  /** The three reserved bits. */
  rsv?: number
  isMasked?: boolean
  /** What the header says, when that is not the truth. */
  announced?: bigint
}>

const mask = Buffer.of(0x1d, 0xc0, 0x57, 0xa4)

/** As a client sends it. */
export function frame(fields: FrameFields = {}): Buffer {
  const { opcode = 2, fin = true, rsv = 0, isMasked = true } = fields
  const payload = Buffer.from(fields.payload ?? '')
  const length = fields.announced ?? BigInt(payload.length)
  const short = length < 126n ? Number(length) : length < 65536n ? 126 : 127
  const more = Buffer.alloc(short === 126 ? 2 : short === 127 ? 8 : 0)
  if (short === 126) more.writeUInt16BE(Number(length))
  if (short === 127) more.writeBigUInt64BE(length)
  const head = Buffer.of((fin ? 0x80 : 0) | (rsv << 4) | opcode, (isMasked ? 0x80 : 0) | short)
  if (!isMasked) return Buffer.concat([head, more, payload])
  const masked = payload.map((byte, at) => byte ^ (mask[at % 4] ?? 0))
  return Buffer.concat([head, more, mask, masked])
}

export const subprotocols = { '/mqtt': 'mqtt', '/xmpp-websocket': 'xmpp' } as const
export type WebSocketPath = keyof typeof subprotocols

export function handshake(path: WebSocketPath, more = ''): string {
  return (
    `GET ${path} HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n` +
    `Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n` +
    `Sec-WebSocket-Protocol: ${subprotocols[path]}\r\n${more}\r\n`
  )
}

/** A connection that has sent its handshake. */
export function openFrames(target: Pick<Target, 'ports'>, name: 'http' | 'https', path: WebSocketPath) {
  const socket = open(target, name)
  socket.write(handshake(path))
  return socket
}

export type Heard = Readonly<{ status: number; payload: Buffer; closeCode: number | null }>

/** What a server said: the status of its answer, the payload of all data frames, and the code of its close frame. */
export function readFrames(bytes: Buffer): Heard {
  const status = Number(/^HTTP\/1\.1 (\d+)/.exec(bytes.toString('latin1'))?.[1] ?? 0)
  const payloads: Buffer[] = []
  let closeCode: number | null = null
  let at = bytes.indexOf('\r\n\r\n') + 4
  while (status === 101 && at + 2 <= bytes.length) {
    const short = (bytes[at + 1] ?? 0) & 0x7f
    const more = short === 126 ? 2 : short === 127 ? 8 : 0
    const length = more === 0 ? short : bytes.readUIntBE(at + 2 + (more === 8 ? 2 : 0), more === 8 ? 6 : 2)
    const start = at + 2 + more
    const opcode = (bytes[at] ?? 0) & 0x0f
    if (opcode < 3) payloads.push(bytes.subarray(start, start + length))
    if (opcode === 8 && length >= 2) closeCode = bytes.readUInt16BE(start)
    at = start + length
  }
  return { status, payload: Buffer.concat(payloads), closeCode }
}
