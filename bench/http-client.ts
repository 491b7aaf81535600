// One keep-alive connection of HTTP/1.1 as bytes: a request, its answer, the next request. RFC 9112
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'

export type Answer = Readonly<{ status: number; body: string }>

/** What is written for a POST; all but `body` is the same for every request of a connection. */
export type PostTemplate = Readonly<{ path: string; headers?: Readonly<Record<string, string>> }>

export class HttpClient {
  readonly #socket: Socket
  #received = ''
  #onAnswer: ((answer: Answer) => void) | null = null
  /** Why the connection ended; null: it lives. */
  ended: string | null = null

  private constructor(socket: Socket) {
    this.#socket = socket
    socket.on('data', (chunk: Buffer) => this.#onChunk(chunk))
    socket.on('error', (error) => {
      this.ended ??= error.message
    })
    socket.on('close', () => {
      this.ended ??= 'closed by the server'
    })
  }

  static async open(port: number): Promise<HttpClient> {
    const socket = connect({ port, host: '127.0.0.1', noDelay: true })
    await once(socket, 'connect')
    return new HttpClient(socket)
  }

  /** The answer to the one before must have come. */
  post(head: string, body: string, onAnswer: (answer: Answer) => void): void {
    this.#onAnswer = onAnswer
    this.#socket.write(`${head}${body.length}\r\n\r\n${body}`, 'latin1')
  }

  close(): void {
    this.ended ??= 'closed by us'
    this.#socket.destroy()
  }

  #onChunk(chunk: Buffer): void {
    this.#received += chunk.toString('latin1')
    const headEnd = this.#received.indexOf('\r\n\r\n')
    if (headEnd < 0) return
    const length = Number(/\r\ncontent-length: *(\d+)/i.exec(this.#received.slice(0, headEnd + 2))?.[1] ?? 0)
    const end = headEnd + 4 + length
    if (this.#received.length < end) return
    const answer = { status: Number(this.#received.slice(9, 12)), body: this.#received.slice(headEnd + 4, end) }
    this.#received = this.#received.slice(end)
    this.#onAnswer?.(answer)
  }
}

/** Up to where the length of the body follows. */
export function postHead({ path, headers = {} }: PostTemplate): string {
  const lines = Object.entries({ host: '127.0.0.1', 'content-type': 'application/json', ...headers })
  return `POST ${path} HTTP/1.1\r\n${lines.map(([name, value]) => `${name}: ${value}\r\n`).join('')}content-length: `
}
