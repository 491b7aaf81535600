// One round: load by all borders, `kill -9`, a new start, and what must be true then (DESIGN §1: acknowledged is durable).
import assert from 'node:assert/strict'
import { eventually } from './eventually.ts'
import { connectMqtt, type Lane, login, mqttLane, post, restLane, type Sent, xmppLane } from './load.ts'
import { createReceiver, type Received, type Receiver } from './load-receiver.ts'
import { type Server, startServer } from './process.ts'

/** The load is one of few accounts on one address. */
const unlimited = {
  CLEARBOX_QUOTA_PER_SECOND: '1000000',
  CLEARBOX_QUOTA_BURST: '1000000',
  CLEARBOX_HTTP_RATE_PER_ADDRESS: '1000000',
  CLEARBOX_HTTP_RATE_PER_ACCOUNT: '1000000',
}

export type Victims = 'broker' | 'broker and database'

export type RoundReport = Readonly<{ victims: Victims; sent: number; acknowledged: number; restartMs: number }>

export type Bench = Readonly<{
  /** Runs one round on the server as the last one left it. @throws AssertionError */
  round: (victims: Victims) => Promise<RoundReport>
  dispose: () => Promise<void>
}>

const receiverName = 'bob'
const plainFilter = 'load/#'
const underWayMs = 30_000

/** Senders by protocol; each has an account of its own, so that a history is one sender's conversation with bob. */
const senders = { rest: 'carol', mqtt: 'dave', xmpp: 'erin', plain: 'frank' } as const

/** A server with its accounts, and two persistent sessions of the receiver: one is online under load, one is not. */
export async function createBench(): Promise<Bench> {
  // @xmpp/client checks the certificate, which is self-signed, and takes no options for it.
  process.env.NODE_TLS_REJECT_UNAUTHORIZED = '0'
  let server = await startServer({ env: unlimited })
  for (const name of [receiverName, ...Object.values(senders)]) await server.addUser(name)
  const online = createReceiver(receiverName, 'online', plainFilter)
  const offline = createReceiver(receiverName, 'offline', plainFilter)
  let rounds = 0

  async function round(victims: Victims): Promise<RoundReport> {
    rounds += 1
    await offline.connect(server)
    await offline.disconnect()
    await online.connect(server)
    const lanes = await startLanes(server, `r${rounds}`)
    const target = 200 + Math.random() * 600
    await eventually(() => lanes.every(isUnderWay) && count(lanes) >= target, underWayMs)
    await server.kill(victims)
    await Promise.all(lanes.map(({ finished }) => finished))
    const acknowledged = count(lanes)
    server = await server.restart()
    await repeatUnacknowledged(server, lanes)
    await drain(server, [online, offline], `end${rounds}`)
    await checkHistories(server, lanes)
    for (const receiver of [online, offline]) checkReceived(receiver, lanes)
    await Promise.all([online.disconnect(), offline.disconnect()])
    const sent = lanes.reduce((sum, lane) => sum + lane.sent.length, 0)
    return { victims, sent, acknowledged, restartMs: server.startMs }
  }

  return { round, dispose: () => server.dispose() }
}

function isUnderWay({ sent }: Lane): boolean {
  return sent.filter((message) => message.isAcknowledged).length >= 10
}

function count(lanes: readonly Lane[]): number {
  return lanes.flatMap(({ sent }) => sent).filter((message) => message.isAcknowledged).length
}

function startLanes(server: Server, prefix: string): Promise<readonly Lane[]> {
  const to = receiverName
  const named = (kind: keyof typeof senders, i = 0) => ({
    server,
    name: `${prefix}-${kind}${i}`,
    account: senders[kind],
  })
  return Promise.all([
    restLane({ ...named('rest', 0), to }),
    restLane({ ...named('rest', 1), to }),
    mqttLane({ ...named('mqtt'), to: `u/${to}/in` }),
    mqttLane({ ...named('plain'), to: `load/${prefix}` }),
    xmppLane({ ...named('xmpp'), to }),
  ])
}

/** What a REST client must do whose answer did not come: the same again with the same key. */
async function repeatUnacknowledged(server: Server, lanes: readonly Lane[]): Promise<void> {
  const token = await login(server, senders.rest)
  for (const { sent } of lanes.filter(({ name }) => name.includes('-rest'))) {
    for (const message of sent.filter(({ isAcknowledged }) => !isAcknowledged)) {
      assert(await post(server, token, receiverName, message), `${message.text} is refused when it is repeated`)
    }
    const [first] = sent
    const known = first?.id
    assert(first && (await post(server, token, receiverName, first)))
    assert.equal(first.id, known, `${first.text} gets another id when it is repeated`)
  }
}

/** Both sessions get what they are owed; a last message tells that there is no more. */
async function drain(server: Server, receivers: readonly Receiver[], end: string): Promise<void> {
  for (const receiver of receivers) await receiver.connect(server)
  const client = await connectMqtt(server, senders.mqtt, { clientId: 'drain', clean: true })
  await client.publishAsync(`u/${receiverName}/in`, `chat-${end}`, { qos: 1 })
  await client.publishAsync('load/end', `plain-${end}`, { qos: 1 })
  await client.endAsync()
  for (const receiver of receivers) await Promise.all([receiver.until(`chat-${end}`), receiver.until(`plain-${end}`)])
}

type Item = Readonly<{ id: string; seq: string; text: string }>

async function readHistory(server: Server, token: string, peer: string): Promise<readonly Item[]> {
  const items: Item[] = []
  for (let cursor: string | null = ''; cursor !== null; ) {
    const query = new URLSearchParams({ with: peer, limit: '200', ...(cursor !== '' && { cursor }) })
    const response = await fetch(`${server.http}/v1/history?${query}`, {
      headers: { authorization: `Bearer ${token}` },
    })
    assert.equal(response.status, 200)
    const page = (await response.json()) as { items: Item[]; next: string | null }
    items.unshift(...page.items)
    cursor = page.next
  }
  return items
}

/** Everything acknowledged is there once, under the id that was told, in order of `seq` and of each lane. */
async function checkHistories(server: Server, lanes: readonly Lane[]): Promise<void> {
  const token = await login(server, receiverName)
  for (const kind of ['rest', 'mqtt', 'xmpp'] as const) {
    const items = await readHistory(server, token, senders[kind])
    assertAscending(
      items.map(({ seq }) => Number(seq)),
      `seq in the history with ${senders[kind]}`,
    )
    for (const lane of lanes.filter(({ name }) => name.includes(`-${kind}`))) {
      const own = items.filter(({ text }) => text.startsWith(`${lane.name}:`))
      assertOnceInOrder(lane, own, 'the history')
      const ids = new Map(own.map(({ text, id }) => [text, id]))
      for (const { text, id } of lane.sent) if (id !== null) assert.equal(ids.get(text), id, `the id of ${text}`)
    }
  }
}

function checkReceived({ name, received }: Receiver, lanes: readonly Lane[]): void {
  for (const lane of lanes) {
    const copies = new Map<string, Received[]>()
    for (const message of received.filter(({ text }) => text.startsWith(`${lane.name}:`))) {
      copies.set(message.text, [...(copies.get(message.text) ?? []), message])
    }
    const firsts = [...copies.values()].flatMap(([first]) => first ?? [])
    assertOnceInOrder(lane, firsts, `session ${name}`)
    for (const [text, [first, ...repeats]] of copies) {
      if (first?.id === null)
        assert(
          repeats.every(({ dup }) => dup),
          `${text} came again to ${name} without DUP`,
        )
      else
        assert(
          repeats.every(({ id }) => id === first?.id),
          `${text} came again to ${name} with another id`,
        )
      if (name === 'offline') assert.equal(repeats.length, 0, `${text} came twice to a session that was offline`)
    }
  }
}

/** A lane has at most one message that was repeated after the kill, and that is its last. */
function assertOnceInOrder(lane: Lane, found: readonly Readonly<{ text: string }>[], place: string): void {
  const texts = found.map(({ text }) => text)
  assert.equal(new Set(texts).size, texts.length, `a message of ${lane.name} is twice in ${place}`)
  const present = new Set(texts)
  const missing = lane.sent.filter((message: Sent) => message.isAcknowledged && !present.has(message.text))
  assert.deepEqual(missing, [], `acknowledged, but not in ${place}`)
  assertAscending(
    texts.map((text) => Number(text.split(':')[1])),
    `${lane.name} in ${place}`,
  )
}

function assertAscending(numbers: readonly number[], what: string): void {
  for (const [i, number] of numbers.entries()) {
    const before = numbers[i - 1] ?? -1
    assert(before < number, `${what} is out of order: ${number} comes behind ${before}`)
  }
}
