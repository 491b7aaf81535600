// The public name of an MQTT device: client ids hold serial numbers and MACs (DESIGN §3).
import { createHmac } from 'node:crypto'

const base32 = 'abcdefghijklmnopqrstuvwxyz234567'

/** Answers `mqtt-` + 10 base32 characters of an HMAC of the client id: steady for an installation. */
export function createDeviceNames(secret: Buffer): (clientId: string) => string {
  return (clientId) => {
    const digest = createHmac('sha256', secret).update(clientId).digest()
    const chars = Array.from({ length: 10 }, (_, i) => base32[(digest[i] as number) & 31])
    return `mqtt-${chars.join('')}`
  }
}
