// Answers where there is no reply to answer with: the request never became one, or it wanted another protocol.
import type { Duplex } from 'node:stream'
import { ofStatus, type Problem } from './problem.ts'

/** Writes the problem and closes. */
export function refuse(socket: Duplex, problem: Problem, headers: readonly string[] = []): void {
  if (!socket.writable) {
    socket.destroy()
    return
  }
  const body = JSON.stringify(problem)
  const head = [
    `HTTP/1.1 ${problem.status} ${problem.title}`,
    'Content-Type: application/problem+json',
    `Content-Length: ${Buffer.byteLength(body)}`,
    'Connection: close',
    ...headers,
  ]
  socket.once('finish', () => socket.destroy())
  socket.end(`${head.join('\r\n')}\r\n\r\n${body}`)
}

const statuses: Readonly<Record<string, number>> = { HPE_HEADER_OVERFLOW: 431, ERR_HTTP_REQUEST_TIMEOUT: 408 }

/** What the parser refuses never becomes a request. */
export function answerBrokenRequest(error: NodeJS.ErrnoException, socket: Duplex): void {
  if (error.code === 'ECONNRESET') socket.destroy()
  else refuse(socket, ofStatus(statuses[error.code ?? ''] ?? 400, 'The request is not one that HTTP/1.1 knows.'))
}
