// A WebSocket client that shows every message, and how it ends.
import { once } from 'node:events'
import { type ClientRequest, type IncomingMessage, request } from 'node:http'
import { text } from 'node:stream/consumers'
import { type ClientOptions, WebSocket } from 'ws'
import { eventually } from './eventually.ts'

export type RawWebSocket = Readonly<{
  socket: WebSocket
  messages: Buffer[]
  /** All messages, joined. */
  bytes(): Buffer
  text(): string
  /** Resolves with the code when it is closed. */
  closed: Promise<number>
  until(isEnough: () => boolean): Promise<unknown>
}>

export async function openWebSocket(
  url: string,
  subprotocol: string,
  options: ClientOptions = {},
): Promise<RawWebSocket> {
  const socket = new WebSocket(url, subprotocol, { rejectUnauthorized: false, ...options })
  const messages: Buffer[] = []
  socket.on('message', (data: Buffer) => messages.push(data))
  const closed = new Promise<number>((resolve) => socket.once('close', resolve))
  await once(socket, 'open')
  socket.on('error', () => undefined)
  return {
    socket,
    messages,
    bytes: () => Buffer.concat(messages),
    text: () => Buffer.concat(messages).toString(),
    closed,
    until: (isEnough) => eventually(isEnough),
  }
}

const handshake = {
  connection: 'Upgrade',
  upgrade: 'websocket',
  'sec-websocket-key': 'dGhlIHNhbXBsZSBub25jZQ==',
  'sec-websocket-version': '13',
}

/** The answer to a handshake that is refused. A header that is undefined is left out. */
export async function refusalOf(
  url: string,
  headers: Readonly<Record<string, string | undefined>>,
): Promise<Readonly<{ status: number | undefined; headers: IncomingMessage['headers']; text: string }>> {
  const given = Object.entries({ ...handshake, ...headers }).filter((entry): entry is [string, string] => !!entry[1])
  const asking: ClientRequest = request(url.replace(/^ws/, 'http'), { headers: Object.fromEntries(given) })
  asking.end()
  const answer = await new Promise<IncomingMessage>((resolve, reject) => {
    asking.once('response', resolve)
    asking.once('upgrade', () => reject(new Error('the upgrade was taken')))
    asking.once('error', reject)
  })
  return { status: answer.statusCode, headers: answer.headers, text: await text(answer) }
}
