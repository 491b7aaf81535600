// Clients of all three protocols that converse without a pause while something bad is done to the broker.
import { Agent, request } from 'node:http'
import { json } from 'node:stream/consumers'
import { setTimeout as pause } from 'node:timers/promises'
import { childText } from '../../adapters/xmpp/element.ts'
import { domain, loginClient } from '../script/xmpp-client.ts'
import { eventually } from './eventually.ts'
import type { Target } from './hostile-target.ts'
import { loginRaw } from './mqtt-raw.ts'

/** No exchange takes longer, whatever goes on; without an attack they take some milliseconds. */
const patienceMs = 2000
const pauseMs = 10
/** Exchanges that each conversation must have had before an attack counts as survived. */
const exchanges = 3

/** `exchange` says the text and resolves when it has arrived, and nothing else did. */
type Conversation = Readonly<{ name: string; exchange(text: string): Promise<void>; end(): void }>

export type Witnesses = Readonly<{
  /** Fails when a message or a connection of theirs is lost, or an exchange takes too long. */
  during<T>(attack: () => T | Promise<T>): Promise<T>
  /** How many connections they hold. */
  connections: Readonly<{ mqtt: number; xmpp: number; http: number }>
  end(): Promise<void>
}>

export async function startWitnesses(target: Target): Promise<Witnesses> {
  const watched = [await mqttPair(target), await xmppPair(target), await httpCaller(target)].map(watch)

  return {
    connections: { mqtt: 2, xmpp: 2, http: 1 },
    async during(attack) {
      for (const one of watched) one.slowestMs = 0
      const result = await attack()
      const goals = watched.map(({ count }) => count + exchanges)
      const isWell = () => watched.every(({ count, fault }, at) => fault !== null || count >= (goals[at] ?? 0))
      await eventually(isWell, 5 * patienceMs).catch(() => undefined)
      for (const [at, { name, count, fault, slowestMs }] of watched.entries()) {
        if (fault !== null) throw new Error(`the witnesses of ${name} noticed`, { cause: fault })
        if (count < (goals[at] ?? 0)) throw new Error(`the witnesses of ${name} came to a halt`)
        if (slowestMs > patienceMs) throw new Error(`the witnesses of ${name} waited ${Math.round(slowestMs)} ms`)
      }
      return result
    },
    async end() {
      for (const one of watched) one.end()
      await Promise.all(watched.map(({ over }) => over))
    },
  }
}

/** Runs a conversation until its end or its first fault. */
function watch({ name, exchange, end }: Conversation) {
  const state = { name, count: 0, slowestMs: 0, fault: null as unknown, over: Promise.resolve(), end: () => undefined }
  let isOver = false
  async function run(): Promise<void> {
    while (!isOver) {
      const beganAt = performance.now()
      await exchange(`${name} ${state.count}`)
      state.slowestMs = Math.max(state.slowestMs, performance.now() - beganAt)
      state.count++
      await pause(pauseMs)
    }
    end()
  }
  state.over = run().catch((fault: unknown) => {
    if (!isOver) state.fault = fault
    end()
  })
  state.end = () => {
    isOver = true
    return undefined
  }
  return state
}

function expectSame(what: string | null, text: string): void {
  if (what !== text) throw new Error(`expected “${text}”, got “${what}”`)
}

/** A plain topic, QoS 1. */
async function mqttPair({ ports, accounts }: Target): Promise<Conversation> {
  const [username, other] = accounts
  const [speaker, listener] = [
    await loginRaw(ports.mqtt, { username, password: `${username}-pw` }),
    await loginRaw(ports.mqtt, { username: other, password: `${other}-pw` }),
  ]
  const topic = `witness/${username}`
  await listener.subscribe([topic])
  return {
    name: 'MQTT',
    async exchange(text) {
      const [packet] = await Promise.all([
        listener.expect('publish'),
        speaker.publish({ topic, payload: text, qos: 1 }),
      ])
      expectSame(packet.payload, text)
      listener.ack(packet)
    },
    end() {
      for (const { socket } of [speaker, listener]) socket.destroy()
    },
  }
}

/** Chat, which is stored. */
async function xmppPair({ ports, accounts }: Target): Promise<Conversation> {
  const [, , name, other] = accounts
  const [speaker, listener] = [await loginClient(ports.xmpp, name), await loginClient(ports.xmpp, other)]
  listener.write('<presence/>')
  await listener.until('presence')
  return {
    name: 'XMPP',
    async exchange(text) {
      speaker.write(`<message to='${other}@${domain}' type='chat'><body>${text}</body></message>`)
      const [message] = await Promise.all([listener.element(), speaker.ping()])
      expectSame(childText(message, 'body'), text)
    },
    end() {
      for (const client of [speaker, listener]) client.destroy()
    },
  }
}

/** Chat by REST, found in the history; all over one connection. */
async function httpCaller({ ports, accounts }: Target): Promise<Conversation> {
  const [, , , , name, other] = accounts
  const agent = new Agent({ keepAlive: true, maxSockets: 1 })
  let isFirst = true

  async function ask(method: string, path: string, body: unknown, token = ''): Promise<Record<string, unknown>> {
    const headers = { 'content-type': 'application/json', ...(token !== '' && { authorization: `Bearer ${token}` }) }
    const asking = request({ agent, host: '127.0.0.1', port: ports.http, method, path, headers })
    asking.end(body === null ? undefined : JSON.stringify(body))
    const answer = await new Promise<NodeJS.ReadableStream & { statusCode?: number }>((resolve, reject) => {
      asking.once('response', resolve).once('error', reject)
    })
    const answered = (await json(answer)) as Record<string, unknown>
    if ((answer.statusCode ?? 0) >= 300) throw new Error(`${method} ${path}: ${answer.statusCode}`)
    if (!isFirst && !asking.reusedSocket) throw new Error('the connection was lost')
    isFirst = false
    return answered
  }

  const { accessToken } = await ask('POST', '/v1/auth/login', { username: name, password: `${name}-pw` })
  return {
    name: 'HTTP',
    async exchange(text) {
      await ask('POST', '/v1/messages', { to: other, text }, String(accessToken))
      const { items } = await ask('GET', `/v1/history?with=${other}&limit=1`, null, String(accessToken))
      const [last] = items as { text: string }[]
      expectSame(last?.text ?? null, text)
    },
    end: () => agent.destroy(),
  }
}
