// MQTT 5 §3.12, §3.13; 3.1.1 §3.12, §3.13: PINGREQ and PINGRESP
import { malformed } from './malformed.ts'
import { packetType } from './packet-type.ts'

/** @throws Malformed 0x81 when the PINGREQ has content */
export function readPingreq(start: number, end: number): void {
  if (start !== end) throw malformed('A PINGREQ has no content') // §3.12.1
}

/** The whole packet; shared, never to be written to. */
export const PINGRESP: Buffer = Buffer.from([packetType.PINGRESP << 4, 0])
