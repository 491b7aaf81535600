// A persistent MQTT session that remembers all it got, over connections and starts of the server.
import type { MqttClient } from 'mqtt'
import { connectMqtt } from './load.ts'
import type { Server } from './process.ts'

export type Received = Readonly<{
  text: string
  /** Chat only. */
  id: string | null
  dup: boolean
}>

export type Receiver = Readonly<{
  name: string
  received: readonly Received[]
  /** Messages are taken from before the connection is made: a resumed session sends at once. */
  connect: (server: Server) => Promise<void>
  disconnect: () => Promise<void>
  /** Resolves when a message of this text is there. */
  until: (text: string) => Promise<void>
}>

/** Follows `u/{account}/msg` and a plain filter, both with QoS 1. */
export function createReceiver(account: string, name: string, plainFilter: string): Receiver {
  const received: Received[] = []
  const waiting = new Map<string, () => void>()
  let client: MqttClient | null = null

  function take(topic: string, payload: Buffer, dup: boolean): void {
    const envelope = topic.startsWith('u/') ? (JSON.parse(payload.toString()) as { id: string; text: string }) : null
    const text = envelope?.text ?? payload.toString()
    received.push({ text, id: envelope?.id ?? null, dup })
    waiting.get(text)?.()
  }

  return {
    name,
    received,
    async connect(server) {
      const onMade = (made: MqttClient) =>
        made.on('message', (topic, payload, packet) => take(topic, payload, packet.dup))
      client = await connectMqtt(server, account, { clientId: name, clean: false, onMade })
      await client.subscribeAsync([`u/${account}/msg`, plainFilter], { qos: 1 })
    },
    async disconnect() {
      await client?.endAsync()
      client = null
    },
    until(text) {
      if (received.some((message) => message.text === text)) return Promise.resolve()
      return new Promise((resolve) => waiting.set(text, resolve))
    },
  }
}
