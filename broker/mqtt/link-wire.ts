// One side of a link: a stream that speaks MQTT as a client does, packet by packet.
import type { Duplex } from 'node:stream'
import { generate, type Packet, parser } from 'mqtt-packet'

type PacketOf<Cmd extends Packet['cmd']> = Extract<Packet, { cmd: Cmd }>

export type LinkWire = Readonly<{
  stream: Duplex
  /** False: the other end is behind; the stream emits `drain`. */
  write(packet: Packet): boolean
  /** The next packet of this kind; others are kept for `receive`. @throws when the stream ends, or nothing comes in time */
  next<Cmd extends Packet['cmd']>(cmd: Cmd): Promise<PacketOf<Cmd>>
  /** From now on, those that were kept first. */
  receive(take: (packet: Packet) => void): void
  /** DISCONNECT, then the end. */
  close(): void
}>

/** `maxPacketBytes`: more than this without a whole packet ends the stream. */
type Options = Readonly<{ version: 4 | 5; maxPacketBytes: number }>

const patienceMs = 20_000

export function openLinkWire(stream: Duplex, { version, maxPacketBytes }: Options): LinkWire {
  const settings = { protocolVersion: version }
  const reader = parser(settings)
  const kept: Packet[] = []
  let take = (packet: Packet): void => void kept.push(packet)
  let awaited: Readonly<{ cmd: string; resolve: (packet: Packet) => void }> | null = null
  let unread = 0

  reader.on('packet', (packet: Packet) => {
    unread = 0
    if (stream.destroyed) return
    if (awaited?.cmd !== packet.cmd) {
      take(packet)
      return
    }
    awaited.resolve(packet)
    awaited = null
  })
  reader.on('error', (fault: Error) => stream.destroy(fault))
  stream.on('error', () => stream.destroy())
  stream.on('data', (chunk: Buffer) => {
    unread += chunk.length
    try {
      reader.parse(chunk)
    } catch (fault) {
      stream.destroy(asError(fault))
    }
    if (unread > maxPacketBytes) stream.destroy(new Error('A packet is larger than limits.packetBytes'))
  })

  /** Null: the packet cannot be written, and the stream ends for it. What was read without fault may be such a one. */
  function encode(packet: Packet): Buffer | null {
    try {
      const bytes = generate(packet, settings)
      if (wholeLength(bytes) === bytes.length) return bytes
      throw new Error(`A ${packet.cmd} is too long to be written`)
    } catch (fault) {
      stream.destroy(asError(fault))
      return null
    }
  }

  async function next<Cmd extends Packet['cmd']>(cmd: Cmd): Promise<PacketOf<Cmd>> {
    const packet = await new Promise<Packet>((resolve, reject) => {
      const timer = setTimeout(() => stream.destroy(new Error(`No ${cmd} in time`)), patienceMs)
      let fault: Error | null = null
      const onError = (found: Error): void => {
        fault = found
      }
      const onClose = (): void => settle(() => reject(fault ?? new Error(`The connection ended before its ${cmd}`)))
      function settle(how: () => void): void {
        clearTimeout(timer)
        stream.off('error', onError).off('close', onClose)
        how()
      }
      stream.on('error', onError).on('close', onClose)
      if (stream.destroyed) onClose()
      awaited = { cmd, resolve: (found) => settle(() => resolve(found)) }
    })
    return packet as PacketOf<Cmd>
  }

  return {
    stream,
    write(packet) {
      const bytes = stream.writable ? encode(packet) : null
      return bytes === null || stream.write(bytes)
    },
    next,
    receive(taker) {
      take = taker
      for (const packet of kept.splice(0)) taker(packet)
    },
    close() {
      const bytes = stream.writable ? encode({ cmd: 'disconnect', reasonCode: 0 } as Packet) : null
      if (bytes !== null) stream.end(bytes)
    },
  }
}

/** What the fixed header says. The codec leaves out what does not fit a length, and does not tell. */
function wholeLength(packet: Buffer): number {
  let length = 0
  let at = 1
  for (let shift = 0; shift < 28; shift += 7) {
    const byte = packet[at++] ?? 0
    length += (byte & 0x7f) << shift
    if (byte < 0x80) break
  }
  return at + length
}

function asError(fault: unknown): Error {
  return fault instanceof Error ? fault : new Error(String(fault))
}
