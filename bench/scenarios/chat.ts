// XMPP: a hundred pairs of accounts chat, both ways, as fast as the server carries it.
import { chatLogins, portOf, type RunningBroker } from '../brokers/broker.ts'
import { faultsOf, Ledger } from '../ledger.ts'
import { steady } from '../meter.ts'
import { untilDone } from '../pace.ts'
import { type ChatClient, chatHead, chatMessage, connectChat } from '../xmpp-client.ts'
import { brokerCost, type Figures, faultFigure, faultRow, type Scenario, steadyRows } from './scenario.ts'

const pairs = 100
const window = 5

export const chat: Scenario = {
  name: 'xmpp-chat',
  about: `XMPP with TLS: ${pairs} pairs of accounts write to each other, both ways, messages of type chat with 64 bytes of text, at saturation: up to ${window} per writer have not yet been received. Logins are not counted. ClearBox and Prosody archive every message for both accounts: ClearBox commits it to PostgreSQL before it delivers, Prosody (mod_mam, its own files) does not wait for the disk. The second Prosody keeps nothing.`,
  rows: [brokerCost(), ...steadyRows, faultRow],
  peers: ['prosody', 'prosody-live'],
  run,
}

class Writer {
  readonly ledger = new Ledger()
  limit = 0
  sent = 0
  received = 0
  readonly #head: string
  #client: ChatClient | null = null

  constructor(to: string) {
    this.#head = chatHead(to)
  }

  use(client: ChatClient): void {
    this.#client = client
  }

  /** What this one wrote has arrived. */
  arrived(sequence: number): void {
    this.ledger.take(sequence)
    this.received++
  }

  fill(): void {
    const count = Math.min(window - (this.sent - this.received), this.limit - this.sent)
    if (count <= 0) return
    let text = ''
    for (let i = 0; i < count; i++) text += chatMessage(this.#head, this.sent++)
    this.#client?.write(text)
  }

  async leave(): Promise<void> {
    await this.#client?.disconnect()
  }
}

async function run(broker: RunningBroker, seconds: number): Promise<Figures> {
  const failures: string[] = []
  const writers = chatLogins.slice(0, 2 * pairs).map((_, index) => new Writer(partnerOf(index)))
  for (let first = 0; first < writers.length; first += 10) {
    const wave = writers.slice(first, first + 10)
    await Promise.all(wave.map((_, offset) => connectWriter(broker, writers, first + offset, failures)))
  }
  const delivered = (): number => writers.reduce((sum, { received }) => sum + received, 0)
  for (const writer of writers) {
    writer.limit = Number.POSITIVE_INFINITY
    writer.fill()
  }
  const figures = await steady(broker, seconds, delivered)
  for (const writer of writers) writer.limit = writer.sent
  const sent = writers.reduce((sum, writer) => sum + writer.sent, 0)
  await untilDone(() => delivered() >= sent, delivered)
  if (failures.length > 0) throw new Error(`${failures.length} streams ended: ${failures[0]}`)
  await Promise.all(writers.map((writer) => writer.leave()))
  return { ...figures, ...faultFigure(faultsOf(writers)) }
}

/** 0 and 1 are a pair, 2 and 3, … */
function partnerOf(index: number): string {
  return chatLogins[index ^ 1]?.username ?? ''
}

async function connectWriter(
  broker: RunningBroker,
  writers: readonly Writer[],
  index: number,
  failures: string[],
): Promise<void> {
  const [login, writer, partner] = [chatLogins[index], writers[index], writers[index ^ 1]]
  if (login === undefined || writer === undefined || partner === undefined) throw new Error('no accounts')
  const client = await connectChat(portOf(broker, 'xmpp'), login, {
    onMessage: (sequence) => partner.arrived(sequence),
    // The partner's window has room again.
    onChunkEnd: () => partner.fill(),
    onClosed: (reason) => failures.push(`${login.username}: ${reason}`),
  })
  writer.use(client)
}
