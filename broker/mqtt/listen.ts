// The MQTT border: listeners, the connections they take, and the sweep over them.
import { createServer, type Server, type Socket } from 'node:net'
import type { Config } from '../config.ts'
import type { Adapter, Listening } from '../types.ts'
import { Connection, closeReason } from './connection.ts'
import type { Host } from './host.ts'

const sweepMs = 1000
const drainMs = 2000

export type MqttDeps = Readonly<{ config: Pick<Config, 'bind' | 'mqtt'>; host: Host }>

export function createMqtt({ config, host }: MqttDeps): Adapter {
  const connections = new Set<Connection>()
  let server: Server | null = null
  let sweeper: NodeJS.Timeout | null = null
  let whenEmpty: (() => void) | null = null

  function onSocket(socket: Socket): void {
    if (connections.size >= host.limits.connections) {
      socket.destroy()
      return
    }
    socket.setNoDelay(true)
    connections.add(
      new Connection(socket, host, (connection) => {
        connections.delete(connection)
        if (connections.size === 0) whenEmpty?.()
      }),
    )
  }

  function sweep(): void {
    for (const connection of connections) connection.sweep()
  }

  async function listen(port: number): Promise<number> {
    server = createServer({ allowHalfOpen: true, noDelay: true }, onSocket)
    const listening = server
    await new Promise<void>((resolve, reject) => {
      listening.once('error', reject)
      listening.listen(port, config.bind, 4096, resolve)
    })
    const address = listening.address()
    return typeof address === 'object' && address !== null ? address.port : port
  }

  async function start(): Promise<readonly Listening[]> {
    const { bind, mqtt } = config
    const port = mqtt.port === 'off' ? null : await listen(mqtt.port)
    sweeper = setInterval(sweep, sweepMs)
    sweeper.unref()
    return [
      { name: 'mqtt', bind, port },
      { name: 'mqtts', bind, port: null, ...(mqtt.tlsPort !== 'off' && { note: 'not built yet' }) },
    ]
  }

  async function stop(): Promise<void> {
    server?.close()
    server = null
    if (sweeper !== null) clearInterval(sweeper)
    if (connections.size === 0) return
    const empty = new Promise<void>((resolve) => {
      whenEmpty = resolve
    })
    for (const connection of connections) connection.close(closeReason.shuttingDown)
    await Promise.race([empty, new Promise((resolve) => setTimeout(resolve, drainMs).unref())])
  }

  return { start, stop }
}
