// Clients that send as fast as they are acknowledged, and remember what was.
import { client as createXmppClient, xml } from '@xmpp/client'
import { connect, type MqttClient } from 'mqtt'
import { passwordOf, type Server } from './process.ts'

/** One message: its text is its name in every check. `id` is what the acknowledgement told, where it tells one. */
export type Sent = { text: string; isAcknowledged: boolean; id: string | null }

/** Sends until the server is gone or it is told to stop. Texts are `lane:number`, in the order of sending. */
export type Lane = Readonly<{ name: string; sent: readonly Sent[]; finished: Promise<void>; stop: () => void }>

type LaneOptions = Readonly<{ server: Server; name: string; account: string; to: string }>

/** How many messages one MQTT client has in flight; below the Receive Maximum. */
const mqttWindow = 16
/** XMPP messages between two pings. */
const xmppBurst = 8

/** `sendSome` sends one or several with `next()`; it answers false, or throws, when the connection is gone. */
function startLane(name: string, sendSome: (next: () => Sent) => Promise<boolean>): Lane {
  const sent: Sent[] = []
  let isStopped = false
  const next = (): Sent => {
    const message = { text: `${name}:${sent.length}`, isAcknowledged: false, id: null }
    sent.push(message)
    return message
  }
  const run = async () => {
    while (!isStopped && (await sendSome(next).catch(() => false)));
  }
  return {
    name,
    sent,
    finished: run(),
    stop() {
      isStopped = true
    },
  }
}

export async function login(server: Server, name: string): Promise<string> {
  const response = await fetch(`${server.http}/v1/auth/login`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ username: name, password: passwordOf(name) }),
  })
  if (response.status !== 200) throw new Error(`login of ${name}: ${response.status} ${await response.text()}`)
  return ((await response.json()) as { accessToken: string }).accessToken
}

/** POST /v1/messages with the text as key; 201 acknowledges. */
export async function post(server: Server, token: string, to: string, message: Sent): Promise<boolean> {
  const response = await fetch(`${server.http}/v1/messages`, {
    method: 'POST',
    headers: {
      'content-type': 'application/json',
      authorization: `Bearer ${token}`,
      'idempotency-key': message.text,
    },
    body: JSON.stringify({ to, text: message.text }),
  })
  if (response.status !== 201) return false
  message.id = ((await response.json()) as { id: string }).id
  message.isAcknowledged = true
  return true
}

export async function restLane({ server, name, account, to }: LaneOptions): Promise<Lane> {
  const token = await login(server, account)
  return startLane(name, (next) => post(server, token, to, next()))
}

/** QoS 1 to a door (`u/{to}/in`) or to a plain topic; PUBACK acknowledges. */
export async function mqttLane({ server, name, account, to: topic }: LaneOptions): Promise<Lane> {
  const client = await connectMqtt(server, account, { clientId: name, clean: true })
  const gone = new Promise<false>((resolve) => client.once('close', () => resolve(false)))
  const ids = watchIds(client)
  const flying = new Set<Promise<boolean>>()
  const lane = startLane(name, (next) => {
    const message = next()
    const flight = client.publishAsync(topic, message.text, { qos: 1 }).then(() => {
      message.isAcknowledged = true
      message.id = ids.get(message.text) ?? null
      flying.delete(flight)
      return true
    })
    flying.add(flight)
    return Promise.race([gone, flying.size < mqttWindow ? true : Promise.race(flying)])
  })
  const end = async () => {
    await Promise.race([gone, Promise.allSettled(flying)])
    client.end(true)
  }
  return { ...lane, finished: lane.finished.then(end) }
}

/** Chat messages with a ping behind some; the ping's answer says that those before it are durable. */
export async function xmppLane({ server, name, account, to }: LaneOptions): Promise<Lane> {
  const client = createXmppClient({
    service: `xmpp://127.0.0.1:${server.ports.xmpp}`,
    domain: 'localhost',
    username: account,
    password: passwordOf(account),
    resource: name,
    timeout: 10_000,
  })
  client.reconnect.stop()
  client.on('error', () => undefined)
  await client.start()
  const gone = new Promise<false>((resolve) => client.once('disconnect', () => resolve(false)))
  const lane = startLane(name, async (next) => {
    const burst = Array.from({ length: xmppBurst }, next)
    for (const { text } of burst) {
      await client.send(xml('message', { to: `${to}@localhost`, type: 'chat', id: text }, xml('body', {}, text)))
    }
    const ping = client.iqCaller.request(xml('iq', { type: 'get' }, xml('ping', { xmlns: 'urn:xmpp:ping' })))
    const isAnswered = await Promise.race([gone, ping.then(() => true)])
    for (const message of burst) message.isAcknowledged = isAnswered
    return isAnswered
  })
  return { ...lane, finished: lane.finished.then(() => void client.stop().catch(() => undefined)) }
}

/** The `cb-id` of PUBACK by payload: MQTT.js does not hand the packet out. */
function watchIds(client: MqttClient): ReadonlyMap<string, string> {
  const texts = new Map<number, string>()
  const ids = new Map<string, string>()
  client.on('packetsend', (packet) => {
    if (packet.cmd === 'publish' && packet.messageId !== undefined) texts.set(packet.messageId, String(packet.payload))
  })
  client.on('packetreceive', (packet) => {
    if (packet.cmd !== 'puback') return
    const id = packet.properties?.userProperties?.['cb-id']
    const text = texts.get(packet.messageId ?? 0)
    if (typeof id === 'string' && text !== undefined) ids.set(text, id)
  })
  return ids
}

export type MqttOptions = Readonly<{
  clientId: string
  clean: boolean
  /** For listeners that must be there before the connection is. */
  onMade?: (client: MqttClient) => void
}>

/** MQTT 5; never connects again of its own accord. A session that is not clean lives for an hour. */
export function connectMqtt(
  server: Server,
  account: string,
  { clientId, clean, onMade }: MqttOptions,
): Promise<MqttClient> {
  const client = connect(`mqtt://127.0.0.1:${server.ports.mqtt}`, {
    clientId,
    clean,
    username: account,
    password: passwordOf(account),
    protocolVersion: 5,
    reconnectPeriod: 0,
    ...(clean ? {} : { properties: { sessionExpiryInterval: 3600 } }),
  })
  onMade?.(client)
  return new Promise((resolve, reject) => {
    client.once('connect', () => resolve(client))
    client.on('error', reject)
    client.once('close', () => reject(new Error(`${clientId} was not let in`)))
  })
}
