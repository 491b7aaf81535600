// Hot path: one call per packet, no allocation (bench/: p2p QoS 0). MQTT 5 §2.1, 3.1.1 §2.2
import { Malformed, malformed, reason } from './malformed.ts'
import { byteAt } from './primitives.ts'

/** Where a packet lies in the buffer that was given to `readFrame`. */
export type Frame = {
  type: number
  flags: number
  bodyStart: number
  bodyEnd: number
}

/** The last packet found: overwritten by the next call of `readFrame`. */
export const frame: Frame = { type: 0, flags: 0, bodyStart: 0, bodyEnd: 0 }

/** `readFrame` needs more bytes. */
export const INCOMPLETE = 0

// Flags that each type must carry; PUBLISH (3) has its own, type 0 is forbidden.
const FORBIDDEN = -1
const ANY = -2
const requiredFlags = [FORBIDDEN, 0, 0, ANY, 0, 0, 2, 0, 2, 0, 2, 0, 0, 0, 0, 0]

/**
 * Finds the packet that starts at `offset`, describes it in `frame` and returns the offset behind it, or INCOMPLETE.
 * Then `frame.bodyEnd` is where the packet will end, or 0 while its length is not known. `maxPacketBytes` counts the whole
 * packet. What the first bytes show is refused before the rest has come. @throws Malformed 0x81, 0x95
 */
export function readFrame(buffer: Buffer, offset: number, end: number, maxPacketBytes: number): number {
  frame.bodyEnd = 0
  if (offset >= end) return INCOMPLETE
  const first = byteAt(buffer, offset)
  frame.type = first >>> 4
  frame.flags = first & 0x0f
  const required = requiredFlags[frame.type]
  if (required !== ANY && required !== frame.flags) throw malformed('Type or flags of a fixed header are reserved') // [MQTT-2.1.3-1]

  let length = 0
  let at = offset + 1
  for (let shift = 0; ; shift += 7) {
    if (shift > 21) throw malformed('A remaining length has more than four bytes')
    if (at >= end) return INCOMPLETE
    const byte = byteAt(buffer, at++)
    length |= (byte & 0x7f) << shift
    if (byte >= 0x80) continue
    if (byte === 0 && shift > 0) throw malformed('A remaining length uses more bytes than it needs') // [MQTT-1.5.5-1]
    break
  }
  if (at - offset + length > maxPacketBytes) throw new Malformed(reason.packetTooLarge, 'The packet is too large') // [MQTT-3.2.2-15]
  frame.bodyStart = at
  frame.bodyEnd = at + length
  return frame.bodyEnd <= end ? frame.bodyEnd : INCOMPLETE
}
