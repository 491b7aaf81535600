// XEP-0198 with a client that loses its connection wherever it hurts.
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { childOf, childText, type Element, elementsOf } from '../../adapters/xmpp/element.ts'
import { startTestBroker, type TestBroker } from '../helpers/broker.ts'
import { eventually } from '../helpers/eventually.ts'
import { connectClient, domain, loginClient, type XmppClient } from './xmpp-client.ts'

const smNs = 'urn:xmpp:sm:3'

let broker: TestBroker
beforeAll(async () => {
  broker = await startTestBroker()
})
afterAll(() => broker.stop())

function chat(to: string, text: string, more = ''): string {
  return `<message to='${to}@${domain}' type='chat' id='${text}'><body>${text}</body>${more}</message>`
}

function count(length: number): readonly string[] {
  return Array.from({ length }, (_, i) => `${i}`)
}

/** A client's side of XEP-0198: it counts, and can break at any byte. */
class Device {
  readonly texts: string[] = []
  readonly others: Element[] = []
  /** Stanzas that came. */
  handled = 0
  /** What the server has told. */
  told = 0
  previd = ''
  #client: XmppClient | null = null
  readonly #name: string

  constructor(name: string) {
    this.#name = name
  }

  get client(): XmppClient {
    if (this.#client === null) throw new Error('not connected')
    return this.#client
  }

  async start(resource = 'phone', attributes = `resume='true'`): Promise<Element> {
    this.#client = await loginClient(broker.xmppPort, this.#name, resource)
    this.handled = 0
    this.client.write(`<enable xmlns='${smNs}' ${attributes}/>`)
    const enabled = await this.client.until('enabled')
    this.previd = enabled.attrs.id ?? ''
    return enabled
  }

  async appear(): Promise<void> {
    this.client.write('<presence/>')
    this.take(await this.client.until('presence'))
  }

  break(): void {
    this.client.destroy()
  }

  /** The answer to `<resume/>`. */
  async resume(h = this.handled): Promise<Element> {
    const client = await connectClient(broker.xmppPort)
    await client.startTls()
    await client.login(this.#name)
    this.#client = client
    client.write(`<resume xmlns='${smNs}' previd='${this.previd}' h='${h}'/>`)
    const answer = await client.element()
    if (answer.name === 'resumed') this.told = Number(answer.attrs.h)
    return answer
  }

  take(element: Element): void {
    if (element.ns === smNs && element.name === 'r') this.client.write(`<a xmlns='${smNs}' h='${this.handled}'/>`)
    else if (element.ns === smNs && element.name === 'a') this.told = Number(element.attrs.h)
    else {
      this.handled++
      const text = element.name === 'message' ? childText(element, 'body') : null
      if (text === null) this.others.push(element)
      else this.texts.push(text)
    }
  }

  /** Takes what comes until it is true. */
  async until(isDone: () => boolean): Promise<void> {
    while (!isDone()) this.take(await this.client.element())
  }

  /** Everything that the server had to say by now is taken. */
  async settle(): Promise<void> {
    const id = `settle-${Math.random()}`
    this.client.write(`<iq type='get' id='${id}'><ping xmlns='urn:xmpp:ping'/></iq>`)
    await this.until(() => this.others.some(({ attrs }) => attrs.id === id))
  }
}

async function account(): Promise<string> {
  return (await broker.account('sm')).name
}

describe('acknowledgements (XEP-0198 §4)', () => {
  it('count a message at its commit, told at once and again then', async () => {
    const [alice, bob] = [await account(), await account()]
    const device = new Device(alice)
    await device.start()
    device.client.write(`${chat(bob, 'a')}${chat(bob, 'b')}<r xmlns='${smNs}'/>`)
    await device.until(() => device.told === 2)
    const stored = await broker.store.accounts.byName(bob)
    expect(await broker.store.archive.head(stored?.id ?? 0)).toBe(2)
    device.client.write(`<iq type='get' id='1'><ping xmlns='urn:xmpp:ping'/></iq><r xmlns='${smNs}'/>`)
    await device.until(() => device.told === 3)
    device.client.destroy()
  })

  it('count what is refused, malformed, or live only', async () => {
    const alice = await account()
    const device = new Device(alice)
    await device.start()
    device.client.write(
      `${chat('nobody', 'x')}<message to='a@@b'><body>x</body></message><presence to='${alice}@${domain}' type='probe'/>` +
        `<message to='${alice}@${domain}'><composing xmlns='http://jabber.org/protocol/chatstates'/></message><r xmlns='${smNs}'/>`,
    )
    await device.until(() => device.told === 4)
    device.client.destroy()
  })

  it('are not needed, and not offered before the login', async () => {
    const client = await connectClient(broker.xmppPort)
    await client.startTls()
    client.openStream()
    expect(childOf(await client.until('features'), 'sm', smNs)).toBeUndefined()
    client.destroy()
  })

  it('raise the position of the account, so that the next device does not get it again', async () => {
    const [alice, bob] = [await account(), await account()]
    const [first, sender] = [new Device(bob), await loginClient(broker.xmppPort, alice)]
    await first.start('first')
    await first.appear()
    sender.write(chat(bob, 'seen'))
    await first.until(() => first.texts.includes('seen'))
    await first.settle()
    sender.write(chat(bob, 'unseen'))
    await sender.ping()
    await first.client.until('message') // … and it is never acknowledged.
    first.client.write(`</stream:stream>`)
    const second = new Device(bob)
    await second.start('second')
    await second.appear()
    await second.until(() => second.texts.length > 0)
    await second.settle()
    expect(second.texts).toEqual(['unseen'])
    sender.destroy()
    second.break()
  })

  it('of more than was sent end the stream', async () => {
    const device = new Device(await account())
    await device.start()
    device.client.write(`<a xmlns='${smNs}' h='7'/>`)
    const error = await device.client.until('error')
    expect(elementsOf(error).map(({ name }) => name)).toEqual(['undefined-condition', 'text', 'handled-count-too-high'])
    expect(elementsOf(error)[2]?.attrs).toMatchObject({ h: '7', 'send-count': '0' })
  })

  it.each([
    [`<enable xmlns='${smNs}'/>`, 'policy-violation'],
    [`<a xmlns='${smNs}' h='many'/>`, 'bad-format'],
  ])('%s on a stream that counts is answered with %s', async (xml, condition) => {
    const device = new Device(await account())
    await device.start()
    device.client.write(xml)
    expect(await device.client.streamError()).toBe(condition)
  })

  it('before the resource is bound are not possible', async () => {
    const client = await connectClient(broker.xmppPort)
    await client.startTls()
    await client.login(await account())
    client.write(`<enable xmlns='${smNs}'/>`)
    expect(elementsOf(await client.until('failed'))[0]?.name).toBe('unexpected-request')
    await client.bind('phone')
    client.destroy()
  })
})

describe('a resumption (XEP-0198 §5)', () => {
  it('is told how long it may take, at most', async () => {
    const device = new Device(await account())
    expect((await device.start()).attrs).toMatchObject({ resume: 'true', max: '300' })
    device.break()
    expect((await device.start('other', `resume='1' max='60'`)).attrs.max).toBe('60')
    device.break()
    expect((await device.start('none', '')).attrs).toEqual({})
    device.break()
  })

  it('brings what was sent meanwhile, and nothing of what was acknowledged', async () => {
    const [alice, bob] = [await account(), await account()]
    const [device, sender] = [new Device(bob), await loginClient(broker.xmppPort, alice)]
    await device.start()
    await device.appear()
    sender.write(chat(bob, 'one'))
    await device.until(() => device.texts.length === 1)
    device.break()
    sender.write(chat(bob, 'two') + chat(bob, 'three'))
    await sender.ping()
    expect((await device.resume()).name).toBe('resumed')
    await device.until(() => device.texts.length === 3)
    await device.settle()
    expect(device.texts).toEqual(['one', 'two', 'three'])
    sender.destroy()
    device.break()
  })

  it('brings again what was not acknowledged: answers, presence and live messages, too', async () => {
    const [alice, bob] = [await account(), await account()]
    const [device, sender] = [new Device(bob), await loginClient(broker.xmppPort, alice)]
    await device.start()
    await device.appear()
    await device.settle()
    const before = device.handled
    device.client.write(`<iq type='get' id='lost'><ping xmlns='urn:xmpp:ping'/></iq>`)
    sender.write(chat(bob, 'lost'))
    sender.write(chat(bob, 'typing', `<no-store xmlns='urn:xmpp:hints'/>`))
    await sender.ping()
    await device.client.until('message')
    device.break()
    device.others.length = 0
    const resumed = await device.resume(before)
    expect(resumed).toMatchObject({ name: 'resumed', attrs: { previd: device.previd, h: '3' } })
    await device.until(() => device.texts.length === 2 && device.others.length === 1)
    await device.settle()
    expect(device.others[0]?.attrs).toMatchObject({ id: 'lost', type: 'result' })
    expect(device.texts.toSorted()).toEqual(['lost', 'typing'])
    sender.destroy()
    device.break()
  })

  it('takes the session over from a stream that is still open', async () => {
    const alice = await account()
    const device = new Device(alice)
    await device.start()
    await device.appear()
    const old = device.client
    expect((await device.resume()).name).toBe('resumed')
    expect(await old.streamError()).toBe('conflict')
    await device.settle()
    expect(device.others.filter(({ attrs }) => attrs.type === 'unavailable')).toEqual([])
    device.break()
  })

  it('is not possible under a name of another account, after a goodbye, or with nonsense', async () => {
    const [mine, other] = [new Device(await account()), new Device(await account())]
    await mine.start()
    mine.break()
    other.previd = mine.previd
    const failed = await other.resume(0)
    expect(elementsOf(failed)[0]?.name).toBe('item-not-found')
    await other.client.bind('phone') // §5: the client may go on without.
    other.break()
    expect((await mine.resume()).name).toBe('resumed')
    await mine.client.close()
    expect(elementsOf(await mine.resume())[0]?.name).toBe('item-not-found')
    mine.client.write(`<resume xmlns='${smNs}' h='0'/>`)
    expect(elementsOf(await mine.client.until('failed'))[0]?.name).toBe('bad-request')
    mine.break()
  })

  it('keeps the presence of the device while it is away, and ends it with the wait', async () => {
    const alice = await account()
    const [device, watcher] = [new Device(alice), await loginClient(broker.xmppPort, alice, 'watcher')]
    watcher.write('<presence/>')
    await watcher.until('presence')
    await device.start('phone', `resume='true' max='1'`)
    await device.appear()
    await watcher.until('presence')
    device.break()
    expect(await watcher.ping()).toEqual([])
    const gone = await watcher.until('presence')
    expect(gone.attrs).toMatchObject({ from: `${alice}@${domain}/phone`, type: 'unavailable' })
    expect(elementsOf(await device.resume())[0]?.name).toBe('item-not-found')
    device.break()
    watcher.destroy()
  })

  it('that does not come leaves what was for the device to the others (RFC 6121 §8.5.3.2.1)', async () => {
    const [alice, bob] = [await account(), await account()]
    const [device, other] = [new Device(bob), new Device(bob)]
    const sender = await loginClient(broker.xmppPort, alice)
    await other.start('other')
    await other.appear()
    await device.start('phone', `resume='true' max='1'`)
    await device.appear()
    sender.write(`<message to='${bob}@${domain}/phone' type='chat'><body>seen</body></message>`)
    await device.until(() => device.texts.length === 1)
    await device.settle()
    device.break()
    sender.write(
      `<message to='${bob}@${domain}/phone' type='chat'><body>for the phone</body></message>${chat(bob, 'all')}`,
    )
    await sender.ping()
    await other.until(() => other.texts.length === 2)
    await other.settle()
    expect(other.texts).toEqual(['all', 'for the phone'])
    sender.destroy()
    other.break()
  })

  it('ends with the password of the account', async () => {
    const name = await account()
    const device = new Device(name)
    await device.start()
    device.break()
    const stored = await broker.store.accounts.byName(name)
    if (stored !== null) await broker.store.accounts.setVerifiers(name, stored.verifiers)
    await eventually(async () => (await device.resume()).name === 'failed')
    device.break()
  })

  it('loses and doubles nothing, wherever the connection is torn', async () => {
    const [alice, bob] = [await account(), await account()]
    const [sender, receiver] = [new Device(alice), new Device(bob)]
    await sender.start()
    await receiver.start()
    await receiver.appear()
    const texts = count(400)
    const unsent = [...texts]
    let base = 0
    /** What the sender has said and knows nothing of yet, in order. */
    const flying: string[] = []

    const send = (number: number) => {
      const next = unsent.splice(0, number)
      flying.push(...next)
      sender.client.write(next.map((text) => chat(bob, text)).join(''))
    }
    const forgetHandled = () => {
      flying.splice(0, sender.told - base)
      base = sender.told
    }

    for (let round = 0; round < 25; round++) {
      send(Math.floor(Math.random() * 20))
      // Some of what is on its way to the receiver arrives.
      const wanted = receiver.texts.length + Math.floor(Math.random() * 10)
      if (receiver.texts.length + flying.length > wanted) await receiver.until(() => receiver.texts.length >= wanted)
      if (Math.random() < 0.7) {
        sender.client.write(chat(bob, 'cut').slice(0, Math.floor(Math.random() * 40)))
        sender.break()
        expect((await sender.resume()).name).toBe('resumed')
        forgetHandled()
        sender.client.write(flying.map((text) => chat(bob, text)).join(''))
      }
      if (Math.random() < 0.7) {
        receiver.break()
        expect((await receiver.resume()).name).toBe('resumed')
      }
    }
    sender.break()
    await sender.resume()
    forgetHandled()
    sender.client.write([...flying, ...unsent].map((text) => chat(bob, text)).join(''))
    await receiver.until(() => receiver.texts.length >= texts.length)
    await receiver.settle()
    expect(receiver.texts).toEqual(texts)
    sender.break()
    receiver.break()
  })

  it('is possible again and again while a long log is being sent', async () => {
    const [alice, bob] = [await account(), await account()]
    const [device, sender] = [new Device(bob), await loginClient(broker.xmppPort, alice)]
    await device.start()
    await device.appear()
    device.break()
    const texts = count(1500)
    sender.write(texts.map((text) => chat(bob, text)).join(''))
    await sender.ping()
    while (device.texts.length < texts.length) {
      await device.resume()
      const wanted = Math.min(texts.length, device.texts.length + 37 + Math.floor(Math.random() * 200))
      await device.until(() => device.texts.length >= wanted)
      device.break()
    }
    await device.resume()
    await device.settle()
    expect(device.texts).toEqual(texts)
    sender.destroy()
    device.break()
  })

  it('does not wait for a device that never acknowledges: the rest stays in the log', async () => {
    const [alice, bob] = [await account(), await account()]
    const [device, sender] = [new Device(bob), await loginClient(broker.xmppPort, alice)]
    await device.start()
    await device.appear()
    await device.settle()
    const texts = count(700)
    sender.write(texts.map((text) => chat(bob, text)).join(''))
    await sender.ping()
    const came = (await device.client.ping()).filter(({ name }) => name === 'message')
    expect(came.length).toBe(500)
    for (const element of came) device.take(element)
    device.handled++ // The ping's answer.
    device.client.write(`<a xmlns='${smNs}' h='${device.handled}'/>`)
    await device.until(() => device.texts.length === 700)
    expect(device.texts).toEqual(texts)
    sender.destroy()
    device.break()
  })
})
