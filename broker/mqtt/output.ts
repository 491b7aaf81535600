// Hot path (bench: p2p, fan-out): a connection's output, collected and written once per turn of the event loop.
import type { Duplex } from 'node:stream'
import type { Counters } from '../metrics.ts'
import type { Wire } from '../publication.ts'
import { type AckType, MAX_ACK_BYTES, writeAck } from './codec/ack.ts'
import { ALIAS_BYTES, writeAliased } from './codec/aliased-publish.ts'
import type { Level } from './codec/packet-type.ts'

const blockSizes = [2 * 1024, 16 * 1024] as const
/** An alias saves nothing that counts in what is larger. */
export const largestAliased = blockSizes[1] - ALIAS_BYTES
const pooledBlocks = 512
/** Below this a loop is faster than a call. */
const loopBytes = 96

/** Blocks that are not in use; shared by all connections, so that an idle one holds none. */
const pools: [Buffer[], Buffer[]] = [[], []]

function takeBlock(size: 0 | 1): Buffer {
  return pools[size].pop() ?? Buffer.allocUnsafeSlow(blockSizes[size])
}

function giveBack(block: Buffer): void {
  const size = block.length === blockSizes[0] ? 0 : block.length === blockSizes[1] ? 1 : null
  if (size !== null && pools[size].length < pooledBlocks) pools[size].push(block)
}

/** Flushes outputs at the end of the loop's turn. */
export type Flusher = Readonly<{ add(output: Output): void }>

export function createFlusher(): Flusher {
  let dirty: Output[] = []
  function flush(): void {
    const outputs = dirty
    dirty = []
    for (const output of outputs) output.flush()
  }
  return {
    add(output) {
      if (dirty.length === 0) setImmediate(flush)
      dirty.push(output)
    },
  }
}

type Written = Readonly<{ block: Buffer | null; bytes: number }>

export type OutputDeps = Readonly<{ flusher: Flusher; counters: Pick<Counters, 'mqttBytesSent' | 'mqttPacketsSent'> }>

export interface DrainListener {
  /** The socket has taken something. */
  onDrained(): void
}

export class Output {
  /** Bytes that the socket has not taken. */
  pendingBytes = 0
  /** Bytes that it ever took; tells a stalled peer from a slow one. */
  drainedBytes = 0
  private readonly socket: Duplex
  private readonly flusher: Flusher
  private readonly counters: OutputDeps['counters']
  private readonly listener: DrainListener
  private block: Buffer | null = null
  private at = 0
  private corked = false
  private dirty = false
  private readonly written: Written[] = []
  private readonly onWritten = (): void => this.release()

  constructor(socket: Duplex, { flusher, counters }: OutputDeps, listener: DrainListener) {
    this.socket = socket
    this.flusher = flusher
    this.counters = counters
    this.listener = listener
  }

  /** One packet; its packet id is filled into the copy. */
  packet(wire: Wire, packetId: number): void {
    const { bytes, start, end, packetIdAt } = wire
    const length = end - start
    if (length > blockSizes[1]) {
      this.large(wire, packetId)
      return
    }
    const block = this.reserve(length)
    const at = this.at
    if (length <= loopBytes) for (let i = 0; i < length; i++) block[at + i] = bytes[start + i] as number
    else bytes.copy(block, at, start, end)
    if (packetIdAt >= 0) {
      block[at + packetIdAt] = packetId >>> 8
      block[at + packetIdAt + 1] = packetId & 0xff
    }
    this.advance(length)
  }

  /** A PUBLISH of at most `largestAliased` bytes, with a topic alias. */
  aliased(wire: Wire, as: Readonly<{ packetId: number; alias: number; withTopic: boolean }>): void {
    const block = this.reserve(wire.end - wire.start + ALIAS_BYTES)
    this.advance(writeAliased(block, this.at, wire, as) - this.at)
  }

  /** Bytes of any length. */
  bytes(packet: Buffer): void {
    this.packet({ bytes: packet, start: 0, end: packet.length, packetIdAt: -1, expiryAt: -1 }, 0)
  }

  /** PUBACK, PUBREC, PUBREL or PUBCOMP, without properties. */
  ack(level: Level, type: AckType, packetId: number, reasonCode: number): void {
    const block = this.reserve(MAX_ACK_BYTES)
    this.advance(writeAck(block, this.at, level, type, packetId, reasonCode) - this.at)
  }

  /** Room for a packet of `length` bytes (at most 16 KiB), to be filled from `position` and counted by `advance`. */
  reserve(length: number): Buffer {
    const block = this.block
    if (block !== null && this.at + length <= block.length) return block
    const isFirst = block === null && length <= blockSizes[0]
    if (block !== null) this.push(block, this.at)
    const fresh = takeBlock(isFirst ? 0 : 1)
    this.block = fresh
    this.at = 0
    return fresh
  }

  get position(): number {
    return this.at
  }

  advance(length: number): void {
    this.counters.mqttPacketsSent++
    this.at += length
    this.pendingBytes += length
    if (this.dirty) return
    this.dirty = true
    this.flusher.add(this)
  }

  flush(): void {
    this.dirty = false
    const block = this.block
    if (block !== null) {
      this.block = null
      this.push(block, this.at)
    }
    if (!this.corked) return
    this.corked = false
    this.socket.uncork()
  }

  private push(block: Buffer, length: number): void {
    // More than one block in a turn go out in one system call.
    if (this.block !== null && !this.corked) {
      this.corked = true
      this.socket.cork()
    }
    this.written.push({ block, bytes: length })
    this.socket.write(block.subarray(0, length), this.onWritten)
  }

  private large({ bytes, start, end, packetIdAt }: Wire, packetId: number): void {
    const copy = Buffer.from(bytes.subarray(start, end))
    if (packetIdAt >= 0) copy.writeUInt16BE(packetId, packetIdAt)
    const block = this.block
    if (block !== null) {
      this.push(block, this.at)
      this.block = null
    }
    this.counters.mqttPacketsSent++
    this.pendingBytes += copy.length
    this.written.push({ block: null, bytes: copy.length })
    this.socket.write(copy, this.onWritten)
  }

  private release(): void {
    const first = this.written.shift()
    if (first === undefined) return
    if (first.block !== null) giveBack(first.block)
    this.pendingBytes -= first.bytes
    this.drainedBytes += first.bytes
    this.counters.mqttBytesSent += first.bytes
    this.listener.onDrained()
  }
}
