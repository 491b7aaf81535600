// The end of a link in this broker: a persistent MQTT 5 session of an account, over a connection in memory. Its queue is the
// link's offline buffer.
import type { Session } from '../session.ts'
import type { Principal } from '../types.ts'
import { Connection } from './connection.ts'
import type { Host } from './host.ts'
import { createLoopback } from './link-loopback.ts'
import type { LinkFilter } from './link-topics.ts'
import { type LinkWire, openLinkWire } from './link-wire.ts'

type Deps = Readonly<{ host: Host; principal: Principal; clientId: string; filters: readonly LinkFilter[] }>

/** Of 3.1.1 peers, which are told none, none in use sends more at once. A power of two. */
export const linkReceiveMaximum = 1024

const neverExpires = 0xffff_ffff
const sweepMs = 1000
/** Beyond what a session gives its messages. */
const packetId = 0xffff

export function sessionHere({ host, principal, clientId }: Omit<Deps, 'filters'>): Session | null {
  for (const session of host.sessions.all())
    if (session.account === principal.account && session.clientId === clientId) return session
  return null
}

/** Connected, with these subscriptions and no others. `limits` are what CONNECT asks for. @throws when it is refused */
export async function openHere(deps: Deps, limits: Readonly<Record<string, number>>): Promise<LinkWire> {
  const { host, clientId, principal } = deps
  const wire = connectHere(host, principal)
  const { name } = principal
  const properties = { sessionExpiryInterval: neverExpires, ...limits }
  wire.write({ cmd: 'connect', clientId, clean: false, keepalive: 0, protocolVersion: 5, username: name, properties })
  try {
    const { reasonCode = 0 } = await wire.next('connack')
    if (reasonCode !== 0) throw new Error(`The session here was refused with 0x${reasonCode.toString(16)}`)
    await subscribeHere(wire, deps)
    return wire
  } catch (fault) {
    wire.stream.destroy()
    throw fault
  }
}

/** The other side has forgotten its half of these handshakes: the ids are free for new messages. */
export async function forgetReceived(wire: LinkWire, session: Session): Promise<void> {
  for (const messageId of session.received.ids()) {
    wire.write({ cmd: 'pubrel', messageId })
    await wire.next('pubcomp')
  }
}

function connectHere(host: Host, principal: Principal): LinkWire {
  const [near, far] = createLoopback()
  const login = async () => ({ principal, session: null, expiresAt: null })
  const own: Host = {
    ...host,
    auth: { ...host.auth, login },
    limits: { ...host.limits, receiveMaximum: linkReceiveMaximum },
  }
  const sweeper = setInterval(() => connection.sweep(), sweepMs)
  sweeper.unref()
  const connection = new Connection(far, '', own, () => clearInterval(sweeper))
  return openLinkWire(near, { version: 5, maxPacketBytes: Number.POSITIVE_INFINITY })
}

/** No Local: what came in by the link does not go out by it. */
async function subscribeHere(wire: LinkWire, deps: Deps): Promise<void> {
  const { filters } = deps
  const wanted = new Set(filters.map(({ topic }) => topic))
  const stale = [...(sessionHere(deps)?.subscriptions.keys() ?? [])].filter((filter) => !wanted.has(filter))
  if (stale.length > 0) {
    wire.write({ cmd: 'unsubscribe', messageId: packetId, unsubscriptions: stale })
    await wire.next('unsuback')
  }
  if (filters.length === 0) return
  const subscriptions = filters.map((filter) => ({ ...filter, nl: true, rap: true, rh: 1 }))
  wire.write({ cmd: 'subscribe', messageId: packetId, subscriptions })
  const { granted } = await wire.next('suback')
  const refused = filters.filter((_, index) => Number(granted[index]) >= 0x80).map(({ topic }) => topic)
  if (refused.length > 0) throw new Error(`The account of the link may not subscribe to ${refused.join(', ')}`)
}
