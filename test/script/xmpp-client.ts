// A client of bytes and elements: it does what a test says and nothing of its own accord.
import { connect, type Socket } from 'node:net'
import { connect as connectTls } from 'node:tls'
import { childOf, childText, type Element, toXml } from '../../adapters/xmpp/element.ts'
import { createXmlReader } from '../../adapters/xmpp/xml.ts'

/** The domain of test brokers. */
export const domain = 'localhost'

const saslNs = 'urn:ietf:params:xml:ns:xmpp-sasl'
const bindNs = 'urn:ietf:params:xml:ns:xmpp-bind'
const waitMs = 10_000

/** What the server said: an element, or `open` and `close` for the stream's own tags. */
export type Said = Element | Readonly<{ open: Element }> | 'close' | 'end'

export class XmppClient {
  address = ''
  #socket: Socket
  readonly #said: Said[] = []
  #wake: (() => void) | null = null

  constructor(socket: Socket) {
    this.#socket = socket
    this.#listen(socket)
  }

  get socket(): Socket {
    return this.#socket
  }

  write(bytes: string | Buffer): void {
    this.#socket.write(bytes)
  }

  openStream(attributes = `to='${domain}' version='1.0'`): void {
    this.write(`<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' ${attributes}>`)
  }

  /** What comes next; 'end' when the connection is closed. */
  async next(): Promise<Said> {
    const deadline = Date.now() + waitMs
    for (;;) {
      const said = this.#said.shift()
      if (said !== undefined) return said
      if (Date.now() > deadline) throw new Error('the server says nothing')
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, waitMs)
        this.#wake = () => {
          clearTimeout(timer)
          resolve()
        }
      })
    }
  }

  /** The next element of this name; everything before it is dropped. */
  async until(name: string): Promise<Element> {
    for (;;) {
      const said = await this.next()
      if (said === 'end' || said === 'close') throw new Error(`the stream ended before <${name}/>`)
      if ('name' in said && said.name === name) return said
    }
  }

  async element(): Promise<Element> {
    const said = await this.next()
    if (typeof said === 'string' || !('name' in said)) throw new Error(`no element: ${JSON.stringify(said)}`)
    return said
  }

  /** The condition of the stream error that comes before the end. */
  async streamError(): Promise<string> {
    const error = await this.until('error')
    const [condition] = error.children
    while ((await this.next()) !== 'end');
    return typeof condition === 'object' ? condition.name : ''
  }

  async startTls(): Promise<void> {
    this.openStream()
    await this.until('features')
    this.write(`<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>`)
    await this.until('proceed')
    const plain = this.#socket
    plain.removeAllListeners()
    const secured = connectTls({ socket: plain, rejectUnauthorized: false })
    await new Promise<void>((resolve, reject) => secured.once('secureConnect', resolve).once('error', reject))
    this.#socket = secured
    this.#listen(secured)
  }

  async login(name: string, secret = `${name}-pw`): Promise<void> {
    this.openStream()
    await this.until('features')
    const token = Buffer.from(`\0${name}\0${secret}`).toString('base64')
    this.write(`<auth xmlns='${saslNs}' mechanism='PLAIN'>${token}</auth>`)
    const answer = await this.element()
    if (answer.name !== 'success') throw new Error(`login: ${toXml(answer)}`)
    this.openStream()
    await this.until('features')
  }

  async bind(resource?: string): Promise<string> {
    const wanted = resource === undefined ? '' : `<resource>${resource}</resource>`
    this.write(`<iq type='set' id='bind'><bind xmlns='${bindNs}'>${wanted}</bind></iq>`)
    const answer = await this.element()
    const bound = childOf(answer, 'bind', bindNs)
    this.address = (bound && childText(bound, 'jid')) ?? ''
    if (this.address === '') throw new Error(`bind: ${toXml(answer)}`)
    return this.address
  }

  /** Answers when all that was sent before has been settled, with what came until then. */
  async ping(): Promise<readonly Element[]> {
    const id = `ping-${Math.random()}`
    this.write(`<iq type='get' id='${id}'><ping xmlns='urn:xmpp:ping'/></iq>`)
    const before: Element[] = []
    for (;;) {
      const element = await this.element()
      if (element.name === 'iq' && element.attrs.id === id) return before
      before.push(element)
    }
  }

  /** Says goodbye and waits for the server's. */
  async close(): Promise<void> {
    this.write('</stream:stream>')
    while ((await this.next()) !== 'end');
  }

  destroy(): void {
    this.#socket.destroy()
  }

  #listen(socket: Socket): void {
    const say = (said: Said) => {
      this.#said.push(said)
      this.#wake?.()
    }
    const newReader = () =>
      createXmlReader(
        { onOpen: (open) => say({ open }), onElement: say, onText: () => {}, onClose: () => say('close') },
        Number.MAX_SAFE_INTEGER,
      )
    let reader = newReader()
    socket.on('data', (bytes: Buffer) => {
      if (bytes.toString().startsWith('<?xml')) reader = newReader()
      reader.read(bytes)
    })
    socket.on('error', () => {})
    socket.on('close', () => say('end'))
  }
}

export function connectClient(port: number): Promise<XmppClient> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, '127.0.0.1')
    socket.once('connect', () => resolve(new XmppClient(socket))).once('error', reject)
  })
}

/** Logged in and bound over TLS; says nothing more. */
export async function loginClient(port: number, name: string, resource?: string): Promise<XmppClient> {
  const client = await connectClient(port)
  await client.startTls()
  await client.login(name)
  await client.bind(resource)
  return client
}
