// The MQTT border: listeners, the connections they take, and the sweep over them.
import { createServer, type Socket } from 'node:net'
import { createServer as createTlsServer } from 'node:tls'
import type { Config } from '../config.ts'
import type { Listener, Listeners } from '../listener.ts'
import type { Carrier } from '../network.ts'
import type { Adapter, Listening } from '../types.ts'
import { openConfigured } from './configured-listener.ts'
import { Connection, closeReason } from './connection.ts'
import type { Host } from './host.ts'

const sweepMs = 1000
const drainMs = 2000

export type MqttDeps = Readonly<{ config: Pick<Config, 'mqtt' | 'listeners'>; listeners: Listeners; host: Host }>

export type MqttAdapter = Adapter &
  Readonly<{
    /** A connection that another border has accepted: MQTT packets in both directions, cut anywhere. */
    take(socket: Carrier, address: string): void
  }>

export function createMqtt({ config, listeners, host }: MqttDeps): MqttAdapter {
  const connections = new Set<Connection>()
  const open: Listener[] = []
  const withoutGuests: Host = host.anonymous === null ? host : { ...host, anonymous: null }
  const hostFor = (isGuestFree: boolean): Host => (isGuestFree ? host : withoutGuests)
  const ordinary = hostFor(config.mqtt.anonymous)
  let sweeper: NodeJS.Timeout | null = null
  let whenEmpty: (() => void) | null = null

  function takeFor(socket: Carrier, address: string, via: Host): void {
    if (connections.size >= host.limits.connections) {
      socket.destroy()
      return
    }
    if (!host.gate.arrive(address)) {
      socket.destroy()
      return
    }
    connections.add(new Connection(socket, address, via, onClose))
  }

  const take = (socket: Carrier, address: string): void => takeFor(socket, address, ordinary)

  function onClose(connection: Connection): void {
    connections.delete(connection)
    if (connections.size === 0) whenEmpty?.()
  }

  function sweep(): void {
    for (const connection of connections) connection.sweep()
  }

  async function start(): Promise<readonly Listening[]> {
    const { loginMs } = host.limits
    open.push(await openPlain(config, listeners, take))
    open.push(await openSecured(config, listeners, { loginMs, take }))
    for (const each of config.listeners) {
      const via = hostFor(each.anonymous ?? config.mqtt.anonymous)
      open.push(
        await openConfigured(each, {
          listeners,
          loginMs,
          counters: host.counters,
          take: (socket, address) => takeFor(socket, address, via),
        }),
      )
    }
    sweeper = setInterval(sweep, sweepMs)
    sweeper.unref()
    return open.flatMap((listener) => listener.listening)
  }

  async function stop(): Promise<void> {
    // Those that have connections close when these are gone.
    for (const listener of open) void listener.close()
    if (sweeper !== null) clearInterval(sweeper)
    if (connections.size === 0) return
    const empty = new Promise<void>((resolve) => {
      whenEmpty = resolve
    })
    for (const connection of connections) connection.close(closeReason.shuttingDown)
    await Promise.race([empty, new Promise((resolve) => setTimeout(resolve, drainMs).unref())])
  }

  return { start, stop, take }
}

type Take = (socket: Socket, address: string) => void

function openPlain({ mqtt }: MqttDeps['config'], listeners: Listeners, take: Take): Promise<Listener> {
  return listeners.open({
    name: 'mqtt',
    port: mqtt.port,
    create: () =>
      createServer({ allowHalfOpen: true, noDelay: true }, (socket) => take(socket, socket.remoteAddress ?? '')),
  })
}

type Secured = Readonly<{ loginMs: number; take: Take }>

function openSecured(
  { mqtt }: MqttDeps['config'],
  listeners: Listeners,
  { loginMs, take }: Secured,
): Promise<Listener> {
  // Not half open: who goes during the handshake would be kept until its time is over.
  const options = { noDelay: true, handshakeTimeout: loginMs }
  return listeners.openTls({
    name: 'mqtts',
    port: mqtt.tlsPort,
    create: (secure) =>
      createTlsServer({ ...options, ...secure }, (socket) => take(socket, socket.remoteAddress ?? '')),
  })
}
