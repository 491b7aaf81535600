// One round: load by all borders, `kill -9`, a new start, and what must be true then (DESIGN §1: acknowledged is durable).
import assert from 'node:assert/strict'
import { setTimeout as pause } from 'node:timers/promises'
import { eventually } from './eventually.ts'
import { connectMqtt, type Lane, login, mqttLane, post, restLane, xmppLane } from './load.ts'
import { checkHistories, checkReceived } from './load-checks.ts'
import { createReceiver, type Receiver } from './load-receiver.ts'
import { type Server, type ServerOptions, startServer } from './process.ts'

/** The load is one of few accounts on one address. */
const unlimited = {
  CLEARBOX_QUOTA_PER_SECOND: '1000000',
  CLEARBOX_QUOTA_BURST: '1000000',
  CLEARBOX_HTTP_RATE_PER_ADDRESS: '1000000',
  CLEARBOX_HTTP_RATE_PER_ACCOUNT: '1000000',
}

export type Victims = 'broker' | 'broker and database'

export type RoundReport = Readonly<{ victims: Victims; sent: number; acknowledged: number; restartMs: number }>

export type OutageReport = Readonly<{
  acknowledgedBefore: number
  acknowledgedAfter: number
  /** From the end of what was done to the first acknowledgement of the slowest border. */
  recoveryMs: number
}>

export type Bench = Readonly<{
  /** Runs one round on the server as the last one left it. @throws AssertionError */
  round: (victims: Victims, kill?: (server: Server) => Promise<void>) => Promise<RoundReport>
  /** Load while something happens to the database, and until all borders are acknowledged again. @throws AssertionError */
  outage: (disturb: (server: Server) => Promise<void>) => Promise<OutageReport>
  server: () => Server
  dispose: () => Promise<void>
}>

const receiverName = 'bob'
const plainFilter = 'load/#'
const underWayMs = 30_000
const recoveryMs = 60_000

/** Senders by protocol; each has an account of its own, so that a history is one sender's conversation with bob. */
const senders = { rest: 'carol', mqtt: 'dave', xmpp: 'erin', plain: 'frank' } as const

const kinds = ['rest', 'mqtt', 'plain', 'xmpp'] as const

/** A server with its accounts, and two persistent sessions of the receiver: one is online under load, one is not. */
export async function createBench(options: ServerOptions = {}): Promise<Bench> {
  // @xmpp/client checks the certificate, which is self-signed, and takes no options for it.
  process.env.NODE_TLS_REJECT_UNAUTHORIZED = '0'
  let server = await startServer({ ...options, env: { ...unlimited, ...options.env } })
  for (const name of [receiverName, ...Object.values(senders)]) await server.addUser(name)
  const online = createReceiver(receiverName, 'online', plainFilter)
  const offline = createReceiver(receiverName, 'offline', plainFilter)
  let rounds = 0

  async function round(victims: Victims, kill?: (server: Server) => Promise<void>): Promise<RoundReport> {
    rounds += 1
    await offline.connect(server)
    await offline.disconnect()
    await online.connect(server)
    const lanes = await startLanes(server, `r${rounds}`)
    const target = 200 + Math.random() * 600
    await eventually(() => lanes.every(isUnderWay) && count(lanes) >= target, underWayMs)
    await (kill?.(server) ?? server.kill(victims))
    await Promise.all(lanes.map(({ finished }) => finished))
    const acknowledged = count(lanes)
    server = await server.restart()
    await repeatUnacknowledged(server, lanes)
    await drain(server, [online, offline], `end${rounds}`)
    await checkHistories(server, lanes, { receiver: receiverName, senders })
    for (const receiver of [online, offline]) checkReceived(receiver, lanes)
    await Promise.all([online.disconnect(), offline.disconnect()])
    const sent = lanes.reduce((sum, lane) => sum + lane.sent.length, 0)
    return { victims, sent, acknowledged, restartMs: server.startMs }
  }

  async function outage(disturb: (server: Server) => Promise<void>): Promise<OutageReport> {
    rounds += 1
    await offline.connect(server)
    await offline.disconnect()
    await online.connect(server)
    const load = keepLoading(server, `o${rounds}`)
    const report = await passThrough(load, () => disturb(server)).finally(load.stop)
    await online.disconnect()
    await repeatUnacknowledged(server, load.lanes)
    await drain(server, [online, offline], `outage${rounds}`)
    await checkHistories(server, load.lanes, { receiver: receiverName, senders })
    for (const receiver of [online, offline]) checkReceived(receiver, load.lanes)
    await Promise.all([online.disconnect(), offline.disconnect()])
    return { ...report, acknowledgedAfter: count(load.lanes) }
  }

  return { round, outage, server: () => server, dispose: () => server.dispose() }
}

/** Under load before, during and after; every border must be acknowledged again without help. */
async function passThrough(load: Load, disturb: () => Promise<void>): Promise<Omit<OutageReport, 'acknowledgedAfter'>> {
  await eventually(() => kinds.every((kind) => load.acknowledged(kind) >= 20), underWayMs)
  const acknowledgedBefore = count(load.lanes)
  await disturb()
  const endedAt = performance.now()
  const reached = new Map(kinds.map((kind) => [kind, load.acknowledged(kind)]))
  const haveMore = (more: number) => () =>
    kinds.every((kind) => load.acknowledged(kind) >= (reached.get(kind) ?? 0) + more)
  await eventually(haveMore(1), recoveryMs)
  const report = { acknowledgedBefore, recoveryMs: Math.round(performance.now() - endedAt) }
  await eventually(haveMore(20), underWayMs)
  return report
}

type Kind = keyof typeof senders
type Load = Readonly<{ lanes: Lane[]; acknowledged: (kind: Kind) => number; stop: () => Promise<void> }>

/** A lane of each border; where one ends, because its connection did or it was refused, another begins. */
function keepLoading(server: Server, prefix: string): Load {
  const lanes: Lane[] = []
  let isStopped = false
  const loop = async (kind: Kind) => {
    for (let turn = 0; !isStopped; turn++) {
      const lane = await startLane(server, kind, `${prefix}t${turn}-${kind}0`).catch(() => null)
      if (lane !== null) {
        lanes.push(lane)
        if (isStopped) lane.stop()
        await lane.finished
      }
      await pause(100)
    }
  }
  const loops = kinds.map(loop)
  return {
    lanes,
    acknowledged: (kind) => count(lanes.filter(({ name }) => name.includes(`-${kind}`))),
    async stop() {
      isStopped = true
      for (const lane of lanes) lane.stop()
      await Promise.all(loops)
    },
  }
}

function isUnderWay({ sent }: Lane): boolean {
  return sent.filter((message) => message.isAcknowledged).length >= 10
}

function count(lanes: readonly Lane[]): number {
  return lanes.flatMap(({ sent }) => sent).filter((message) => message.isAcknowledged).length
}

function startLanes(server: Server, prefix: string): Promise<readonly Lane[]> {
  return Promise.all([
    startLane(server, 'rest', `${prefix}-rest1`),
    ...kinds.map((kind) => startLane(server, kind, `${prefix}-${kind}0`)),
  ])
}

function startLane(server: Server, kind: Kind, name: string): Promise<Lane> {
  const options = { server, name, account: senders[kind], to: receiverName }
  if (kind === 'rest') return restLane(options)
  if (kind === 'xmpp') return xmppLane(options)
  return mqttLane({ ...options, to: kind === 'mqtt' ? `u/${receiverName}/in` : `load/${name}` })
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
