// RFC 6455 §4.2: which WebSockets the HTTP ports take  https://www.rfc-editor.org/rfc/rfc6455#section-4.2
import type { IncomingMessage, Server } from 'node:http'
import { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { TLSSocket } from 'node:tls'
import { WebSocketServer } from 'ws'
import { BrokerError } from '../broker/errors.ts'
import type { Carrier, IsTrusted, Peer } from '../broker/network.ts'
import { refuse } from './broken-request.ts'
import { peerOf } from './peer.ts'
import { ofStatus, toProblem } from './problem.ts'
import { type Frames, toStream } from './websocket-stream.ts'

/** One protocol that is spoken over WebSocket. */
export type Upgrade = Readonly<{
  path: string
  subprotocol: string
  frames: Frames
  maxMessageBytes: number
  /** What a message that is not whole yet may have while its sender is not logged in. */
  maxStrangerBytes: number
  onSocket(socket: Carrier, peer: Peer): void
}>

const maxPieces = 4096
const maxWaitingPongs = 60
const keepAliveMs = 60_000
const closeTimeoutMs = 5000

type Deps = Readonly<{ upgrades: readonly Upgrade[]; isTrusted: IsTrusted }>

/** `hasUnanswered`: requests of this connection still wait for their answers. */
export type AttachUpgrades = (server: Server, hasUnanswered: (socket: Duplex) => boolean) => void

/** For every HTTP server: takes what asks for a path and subprotocol of the table, answers everything else. */
export function createUpgrades({ upgrades, isTrusted }: Deps): AttachUpgrades {
  const givenBack = new WeakSet<Duplex>()
  const table = new Map(upgrades.map((upgrade) => [upgrade.path, { upgrade, webSockets: createServer(upgrade) }]))

  function take(server: Server, request: IncomingMessage, socket: Duplex, head: Buffer): void {
    // 'close' follows, and that is where a connection ends.
    socket.on('error', () => socket.destroy())
    if (request.headers.upgrade?.toLowerCase() !== 'websocket') {
      // Clients ask once, with their first request.
      if (givenBack.has(socket)) refuse(socket, ofStatus(400, 'There is no such protocol to upgrade to.'))
      else answerWithout(server, request, socket, head)
      givenBack.add(socket)
      return
    }
    const found = table.get(request.url?.split('?', 1)[0] ?? '')
    if (found === undefined) {
      refuse(socket, toProblem(new BrokerError('not-found')))
      return
    }
    const { upgrade, webSockets } = found
    if (!offers(request, upgrade.subprotocol)) {
      refuse(socket, ofStatus(400, `The WebSocket subprotocol here is ${upgrade.subprotocol}.`))
      return
    }
    const peer = peerOf(request, isTrusted)
    webSockets.handleUpgrade(request, socket, head, (webSocket) => {
      if (socket instanceof Socket) socket.setKeepAlive(true, keepAliveMs)
      upgrade.onSocket(toStream(webSocket, socket, upgrade), peer)
    })
  }

  return (server, hasUnanswered) => {
    server.on('upgrade', (request: IncomingMessage, socket: Duplex, head: Buffer) => {
      // Their answers would go out in the middle of another protocol.
      if (hasUnanswered(socket)) socket.destroy()
      else take(server, request, socket, head)
    })
  }
}

function createServer({ subprotocol, maxMessageBytes }: Upgrade): WebSocketServer {
  const server = new WebSocketServer({
    noServer: true,
    clientTracking: false,
    perMessageDeflate: false,
    maxPayload: maxMessageBytes,
    // Pieces that wait for the rest of a frame or message cost far more than their bytes.
    maxFragments: maxPieces,
    maxBufferedChunks: maxPieces,
    handleProtocols: () => subprotocol,
    // Known to ws 8.23, not yet to its types; who pings on without taking the answers is torn off.
    ...{ closeTimeout: closeTimeoutMs, maxPendingAutoPongs: maxWaitingPongs },
  })
  // §4.2.1, §4.4: a version that is not 13, a key that is none.
  server.on('wsClientError', (_error, socket) => {
    refuse(socket, ofStatus(400, 'The WebSocket handshake is not one of RFC 6455.'), ['Sec-WebSocket-Version: 13'])
  })
  return server
}

function offers({ headers }: IncomingMessage, subprotocol: string): boolean {
  const offered = headers['sec-websocket-protocol'] ?? ''
  return offered.split(',').some((name) => name.trim() === subprotocol)
}

/**
 * RFC 9110 §7.8: an upgrade that is not wanted is ignored (clients that try h2c send one with every first request). Node
 * has stopped parsing, so the request is given back to it without the wish. Over TLS nobody asks so.
 */
function answerWithout(
  server: Server,
  { method, url, rawHeaders }: IncomingMessage,
  socket: Duplex,
  head: Buffer,
): void {
  if (!(socket instanceof Socket) || socket instanceof TLSSocket) {
    refuse(socket, ofStatus(400, 'There is no such protocol to upgrade to.'))
    return
  }
  const lines = [`${method} ${url} HTTP/1.1`]
  for (let at = 0; at < rawHeaders.length; at += 2) {
    const [name = '', value = ''] = rawHeaders.slice(at, at + 2)
    if (!/^(upgrade|connection|http2-settings)$/i.test(name)) lines.push(`${name}: ${value}`)
  }
  socket.unshift(Buffer.concat([Buffer.from(`${lines.join('\r\n')}\r\n\r\n`, 'latin1'), head]))
  server.emit('connection', socket)
}
