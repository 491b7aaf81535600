// Hot path of the generator: chat over TLS as bytes; the only thing that is looked for in what arrives is a body's number.
import { once } from 'node:events'
import { connect as connectTcp } from 'node:net'
import { connect as connectTls, type TLSSocket } from 'node:tls'
import { chatDomain, type Login } from './brokers/broker.ts'
import { StreamReader } from './stream-reader.ts'

export type ChatReceiver = Readonly<{
  onMessage(sequence: number): void
  /** All of a chunk was handled: the moment to send more. */
  onChunkEnd(): void
  onClosed(reason: string): void
}>

const header = `<?xml version='1.0'?><stream:stream to='${chatDomain}' version='1.0' xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'>`
const bodyTag = '<body>'
/** The number that a body begins with has this many digits. */
const digits = 10

/** STARTTLS, SASL PLAIN, a resource and presence (RFC 6120, RFC 6121). What arrives later goes to the receiver. */
export async function connectChat(port: number, login: Login, receiver: ChatReceiver): Promise<ChatClient> {
  const socket = connectTcp({ port, host: '127.0.0.1', noDelay: true })
  await once(socket, 'connect')
  const open = new StreamReader(socket)
  await open.request(header, '</stream:features>')
  await open.request("<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>", '<proceed')
  open.stop()
  const secure = connectTls({ socket, servername: chatDomain, rejectUnauthorized: false })
  await once(secure, 'secureConnect')
  const reader = new StreamReader(secure)
  await reader.request(header, '</stream:features>')
  const token = Buffer.from(`\0${login.username}\0${login.password}`).toString('base64')
  await reader.request(`<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>${token}</auth>`, '<success')
  await reader.request(header, '</stream:features>')
  const bind = "<bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'><resource>bench</resource></bind>"
  await reader.request(`<iq type='set' id='bind'>${bind}</iq>`, '</iq>')
  await reader.request("<presence/><iq type='get' id='ping'><ping xmlns='urn:xmpp:ping'/></iq>", /id=['"]ping['"]/)
  reader.stop()
  return new ChatClient(secure, receiver)
}

export class ChatClient {
  readonly #socket: TLSSocket
  readonly #receiver: ChatReceiver
  #cut: Buffer | null = null
  #isClosing = false

  constructor(socket: TLSSocket, receiver: ChatReceiver) {
    this.#socket = socket
    this.#receiver = receiver
    socket.on('data', (chunk: Buffer) => this.#onChunk(chunk))
    socket.on('error', (error) => this.#onClosed(error.message))
    socket.on('close', () => this.#onClosed('closed by the server'))
  }

  write(text: string): void {
    this.#socket.write(text, 'latin1')
  }

  async disconnect(): Promise<void> {
    if (this.#isClosing || this.#socket.destroyed) return
    this.#isClosing = true
    const closed = once(this.#socket, 'close')
    this.#socket.end('</stream:stream>')
    await closed
  }

  #onClosed(reason: string): void {
    if (this.#isClosing) return
    this.#isClosing = true
    this.#receiver.onClosed(reason)
  }

  #onChunk(chunk: Buffer): void {
    const bytes = this.#cut === null ? chunk : Buffer.concat([this.#cut, chunk])
    const parsed = this.#parse(bytes)
    this.#cut = parsed < bytes.length ? bytes.subarray(parsed) : null
    this.#receiver.onChunkEnd()
  }

  /** Returns where what may be a cut body tag or number begins. */
  #parse(bytes: Buffer): number {
    let at = bytes.indexOf(bodyTag)
    let end = 0
    while (at >= 0) {
      const first = at + bodyTag.length
      if (first + digits > bytes.length) return at
      end = first + digits
      let sequence = 0
      for (let i = first; i < end; i++) sequence = sequence * 10 + (bytes[i] as number) - 0x30
      this.#receiver.onMessage(sequence)
      at = bytes.indexOf(bodyTag, end)
    }
    return Math.max(end, bytes.length - bodyTag.length + 1)
  }
}

const filler = 'x'.repeat(64 - digits - 1)

/** The constant part of all messages to `to`; the body of 64 bytes is put together with `chatMessage`. */
export function chatHead(to: string): string {
  return `<message type='chat' to='${to}@${chatDomain}' id='`
}

export function chatMessage(head: string, sequence: number): string {
  const number = String(sequence).padStart(digits, '0')
  return `${head}${number}'><body>${number} ${filler}</body></message>`
}
