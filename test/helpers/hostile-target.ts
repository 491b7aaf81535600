// What an attack is aimed at: every listener by its name, and the bytes that came back.
import { connect, type Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { type ConnectionOptions, connect as connectTls } from 'node:tls'
import type { Listening } from '../../broker/types.ts'
import type { TestBroker } from './broker.ts'
import { eventually } from './eventually.ts'

export const tlsListeners = ['mqtts', 'xmpps', 'https'] as const
export const listeners = ['mqtt', 'xmpp', 'http', 'metrics', ...tlsListeners] as const
export type ListenerName = (typeof listeners)[number]

export type Target = Readonly<{
  ports: Readonly<Record<ListenerName, number>>
  /** Two accounts per protocol; the password is `<name>-pw`. */
  accounts: readonly [string, string, string, string, string, string]
}>

/** A broker that was started with `CLEARBOX_METRICS_PORT=0`. */
export async function targetOf(broker: TestBroker): Promise<Target> {
  const names: string[] = []
  while (names.length < 6) names.push((await broker.account('witness')).name)
  return { ports: portsOf(broker.listening), accounts: names as unknown as Target['accounts'] }
}

export function portsOf(listening: readonly Listening[]): Target['ports'] {
  const portOf = (name: ListenerName) => listening.find((listener) => listener.name === name)?.port ?? 0
  return Object.fromEntries(listeners.map((name) => [name, portOf(name)])) as Record<ListenerName, number>
}

export const isTls = (name: ListenerName) => (tlsListeners as readonly string[]).includes(name)

/** A socket whose errors are no matter. Over TLS it speaks when the handshake is done. */
export function open({ ports }: Pick<Target, 'ports'>, name: ListenerName, tls: ConnectionOptions = {}): Socket {
  const to = { port: ports[name], host: '127.0.0.1', noDelay: true }
  const socket = isTls(name) ? connectTls({ ...to, rejectUnauthorized: false, ...tls }) : connect(to)
  return socket.on('error', () => undefined)
}

/** Everything that the other side says until it closes. */
export async function heard(socket: Duplex, withinMs = 10_000): Promise<Buffer> {
  const said: Buffer[] = []
  socket.on('data', (bytes: Buffer) => said.push(bytes))
  let isClosed = socket.closed
  socket.once('close', () => {
    isClosed = true
  })
  await eventually(() => isClosed, withinMs).catch(() => {
    throw new Error(
      `not closed in time; it said ${JSON.stringify(Buffer.concat(said).toString('latin1').slice(0, 300))}`,
    )
  })
  return Buffer.concat(said)
}

/** Says it, and hears what comes until the other side closes. */
export function tell(target: Pick<Target, 'ports'>, name: ListenerName, bytes: Buffer | string): Promise<Buffer> {
  const socket = open(target, name)
  socket.write(bytes)
  return heard(socket)
}

/** A gauge or counter, by its name without `clearbox_`. */
export async function metric({ ports }: Pick<Target, 'ports'>, name: string): Promise<number> {
  const text = await (await fetch(`http://127.0.0.1:${ports.metrics}/metrics`)).text()
  const found = new RegExp(`^clearbox_${name} (\\d+)$`, 'm').exec(text)?.[1]
  if (found === undefined) throw new Error(`no metric ${name}`)
  return Number(found)
}
