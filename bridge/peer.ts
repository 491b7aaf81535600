// Who is at the other end of a request: the socket says, or a proxy that is believed.
import type { IncomingMessage } from 'node:http'
import { TLSSocket } from 'node:tls'
import { type IsTrusted, isLoopback, type Peer, plainAddress, toAddress } from '../broker/network.ts'

/**
 * The last address in X-Forwarded-For that no trusted proxy has, when the socket is that of a trusted proxy. What comes
 * from this machine is secure unless it is forwarded by someone who is not believed.
 */
export function peerOf({ socket, headers }: IncomingMessage, isTrusted: IsTrusted): Peer {
  const near = plainAddress(socket.remoteAddress ?? '')
  const isTls = socket instanceof TLSSocket
  if (!isTrusted(near)) return { address: near, isSecure: isTls || (isLoopback(near) && !isForwarded(headers)) }
  const hops = toList(headers['x-forwarded-for']).map(toAddress)
  const address = hops.findLast((hop) => !isTrusted(hop)) ?? hops[0] ?? near
  const protocol = toList(headers['x-forwarded-proto']).at(-1)
  const isSecure =
    protocol === undefined ? isTls || (hops.length === 0 && isLoopback(near)) : /^(https|wss)$/i.test(protocol)
  return { address, isSecure }
}

/**
 * Of a request of fastify; '' when a proxy names none, and when the client has gone: then there is none, whatever the
 * type says.
 */
export function addressOf({ ip }: Readonly<{ ip: string | undefined }>): string {
  return toAddress(ip ?? '')
}

/** A proxy on this machine speaks for others: what it forwards is not from here, unless it is trusted to say so. */
export function isFromThisMachine(request: IncomingMessage, isTrusted: IsTrusted): boolean {
  if (!isLoopback(peerOf(request, isTrusted).address)) return false
  return isTrusted(request.socket.remoteAddress ?? '') || !isForwarded(request.headers)
}

function isForwarded(headers: IncomingMessage['headers']): boolean {
  return ['forwarded', 'x-forwarded-for', 'x-forwarded-proto', 'via'].some((name) => name in headers)
}

function toList(header: string | string[] | undefined): string[] {
  const parts = [header ?? []].flat().flatMap((line) => line.split(','))
  return parts.map((part) => part.trim()).filter((part) => part !== '')
}
