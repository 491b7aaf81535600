// The clients of one run.
import { logins, portOf, type RunningBroker } from './brokers/broker.ts'
import { createScratch, MqttClient, type Receiver } from './mqtt-client.ts'
import { connectPacket, type Level } from './mqtt-packets.ts'

/** `account` is an index of the broker's logins; without it, all in turn. */
export type Member = Readonly<{
  clientId: string
  account?: number
  clean?: boolean
  level?: Level
  receiver?: Partial<Receiver>
}>

/** Connects clients, all accounts in turn, and remembers whether the broker hung up on one of them. */
export class Crowd {
  readonly #broker: RunningBroker
  readonly #scratch = createScratch()
  readonly #clients: MqttClient[] = []
  readonly #failures: string[] = []

  constructor(broker: RunningBroker) {
    this.#broker = broker
  }

  async connect(member: Member): Promise<MqttClient> {
    const { clientId, clean = true, level = 4 } = member
    const login = logins[(member.account ?? this.#clients.length) % logins.length]
    if (login === undefined) throw new Error('no accounts')
    const client = new MqttClient(portOf(this.#broker, 'mqtt'), this.#scratch, this.#receiver(member), level)
    this.#clients.push(client)
    await client.handshake(connectPacket(login, { clientId, clean, level }))
    return client
  }

  /** Up to 64 at a time. */
  async connectAll<T>(count: number, connectOne: (index: number) => Promise<T>): Promise<T[]> {
    const connected: T[] = []
    while (connected.length < count) {
      const wave = Math.min(64, count - connected.length)
      const first = connected.length
      connected.push(...(await Promise.all(Array.from({ length: wave }, (_, i) => connectOne(first + i)))))
    }
    return connected
  }

  /** @throws Error when the broker closed a connection that should have lived */
  check(): void {
    const first = this.#failures[0]
    if (first !== undefined) throw new Error(`${this.#failures.length} connections ended: ${first}`)
  }

  async leave(): Promise<void> {
    await Promise.all(this.#clients.map((client) => client.disconnect()))
  }

  #receiver({ clientId, receiver = {} }: Member): Receiver {
    const nothing = (): void => undefined
    return {
      onPublish: receiver.onPublish ?? nothing,
      onPuback: receiver.onPuback ?? nothing,
      onChunkEnd: receiver.onChunkEnd ?? nothing,
      onClosed: (reason) => this.#failures.push(`${clientId}: ${reason}`),
    }
  }
}
