// The start of an XMPP stream, one request after the other, before anything is measured.
import type { Duplex } from 'node:stream'

const timeoutMs = 20_000

type Wait = Readonly<{ isOver: (text: string) => boolean; resolve: () => void; reject: (error: Error) => void }>

export class StreamReader {
  readonly #socket: Duplex
  #text = ''
  #wait: Wait | null = null
  readonly #onData = (chunk: Buffer): void => {
    this.#text += chunk.toString('latin1')
    this.#look()
  }
  readonly #onEnd = (error?: unknown): void => {
    const reason = error instanceof Error ? error.message : 'the server closed the stream'
    this.#wait?.reject(new Error(`${reason}: ${this.#text.slice(-500)}`))
    this.#wait = null
  }

  constructor(socket: Duplex) {
    this.#socket = socket
    socket.on('data', this.#onData)
    socket.on('close', this.#onEnd)
    socket.on('error', this.#onEnd)
  }

  /** Sends, and waits for what the answer ends with, or holds. @throws Error when the server ends the stream or is silent */
  async request(text: string, answer: string | RegExp): Promise<void> {
    this.#text = ''
    const isOver = (got: string): boolean => (typeof answer === 'string' ? got.includes(answer) : answer.test(got))
    const timer = setTimeout(() => this.#onEnd(new Error('no answer in time')), timeoutMs)
    try {
      await new Promise<void>((resolve, reject) => {
        this.#wait = { isOver, resolve, reject }
        this.#socket.write(text)
      })
    } finally {
      clearTimeout(timer)
    }
  }

  /** The socket is another's from now on. */
  stop(): void {
    this.#socket.off('data', this.#onData)
    this.#socket.off('close', this.#onEnd)
    this.#socket.off('error', this.#onEnd)
  }

  #look(): void {
    if (this.#wait === null || !this.#wait.isOver(this.#text)) return
    this.#wait.resolve()
    this.#wait = null
  }
}
