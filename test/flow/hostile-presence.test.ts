// What an account says to another one beside the log costs that one neither its stream nor its conversation. DESIGN §1, §9
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { childOf, childText, type Element } from '../../adapters/xmpp/element.ts'
import { startTestBroker, type TestBroker } from '../helpers/broker.ts'
import { befriend } from '../helpers/contacts.ts'
import { metric, type Target, targetOf } from '../helpers/hostile-target.ts'
import { domain, loginClient, type XmppClient } from '../script/xmpp-client.ts'

const smNs = 'urn:xmpp:sm:3'
const large = 'x'.repeat(7000)

let broker: TestBroker
let target: Target
beforeAll(async () => {
  broker = await startTestBroker({ env: { CLEARBOX_METRICS_PORT: '0' } })
  target = await targetOf(broker)
})
afterAll(() => broker.stop())

/** A client that acknowledges when it is asked, if it counts at all. */
class Reader {
  readonly client: XmppClient
  isSilent = false
  #handled = 0

  constructor(client: XmppClient) {
    this.client = client
  }

  /** The next stanza that fits; all before it are dropped. */
  async until(fits: (element: Element) => boolean): Promise<Element> {
    for (;;) {
      const element = await this.client.element()
      if (element.name === 'error') throw new Error(`the stream has ended: ${JSON.stringify(element.children)}`)
      if (element.name === 'r' && !this.isSilent) this.client.write(`<a xmlns='${smNs}' h='${this.#handled}'/>`)
      if (element.ns === smNs) continue
      this.#handled++
      if (fits(element)) return element
    }
  }
}

async function available(name: string, { counts = false, resource = 'phone' } = {}): Promise<Reader> {
  const client = await loginClient(broker.xmppPort, name, resource)
  if (counts) {
    client.write(`<enable xmlns='${smNs}' resume='true'/>`)
    await client.until('enabled')
  }
  const reader = new Reader(client)
  client.write('<presence/>')
  await reader.until(({ name: element, attrs }) => element === 'presence' && attrs.from === client.address)
  return reader
}

async function friends() {
  const [alice, bob] = [await broker.account('victim'), await broker.account('friend')]
  await befriend(broker, alice, bob)
  return [alice, bob] as const
}

const says = (text: string) => (element: Element) => childText(element, 'body') === text
const chat = (to: string, text: string) => `<message to='${to}' type='chat'><body>${text}</body></message>`
const conditions = (errors: readonly Element[]) =>
  new Set(
    errors.map(
      (error) => childOf(error, 'error')?.children.map((child) => (typeof child === 'string' ? '' : child.name))[0],
    ),
  )

describe.each([
  ['without XEP-0198', false],
  ['with XEP-0198', true],
])('an account %s', (_what, counts) => {
  it('that does not read is flooded by a stranger, and keeps its stream and its conversation', async () => {
    const [alice, bob] = await friends()
    const victim = await available(alice.name, { counts })
    const friend = await available(bob.name)
    const stranger = await loginClient(broker.xmppPort, (await broker.account('stranger')).name)
    const to = victim.client.address
    victim.client.socket.pause()
    victim.isSilent = true
    const before = await metric(target, 'live_dropped_total')
    for (let i = 0; i < 700; i++) {
      stranger.write(`<presence to='${to}'><status>${large}</status></presence>`)
      stranger.write(`<message to='${to}' type='headline'><body>${large}</body></message>`)
      stranger.write(`<iq to='${to}' type='get' id='${i}'><query xmlns='jabber:iq:version'>${large}</query></iq>`)
    }
    expect(conditions(await stranger.ping())).toEqual(new Set(['resource-constraint']))
    expect(await metric(target, 'live_dropped_total')).toBeGreaterThan(before)
    friend.client.write(`<presence><show>dnd</show></presence>${chat(to, 'still here?')}`)
    await friend.client.ping()
    victim.client.socket.resume()
    await victim.until(
      (element) => childText(element, 'show') === 'dnd' && element.attrs.from === friend.client.address,
    )
    await victim.until(says('still here?'))
    victim.client.write(chat(friend.client.address, 'I am'))
    await friend.until(says('I am'))
    for (const client of [victim.client, friend.client, stranger]) client.destroy()
  })

  it('that did not read learns at last where its contacts have come to', async () => {
    const [alice, bob] = await friends()
    const victim = await available(alice.name, { counts })
    const [friend, desk] = [await available(bob.name), await available(bob.name, { resource: 'desk' })]
    victim.client.socket.pause()
    for (let i = 0; i < 1200; i++) friend.client.write(`<presence><status>${i}${large}</status></presence>`)
    friend.client.write('<presence><show>xa</show></presence>')
    await friend.client.ping()
    await desk.client.close()
    victim.client.socket.resume()
    const presenceOf =
      ({ client: { address } }: Reader) =>
      (element: Element) =>
        element.attrs.from === address
    await victim.until((element) => presenceOf(friend)(element) && childText(element, 'show') === 'xa')
    expect((await victim.until(presenceOf(desk))).attrs.type).toBe('unavailable')
    victim.client.write(chat(friend.client.address, 'I am'))
    await friend.until(says('I am'))
    for (const { client } of [victim, friend]) client.destroy()
  })
})

it('a presence of more than 8 KiB goes back to its sender, whatever its kind', async () => {
  const [alice, bob] = await friends()
  const [victim, sender] = [await available(alice.name), await available(bob.name)]
  const status = `<status>${'x'.repeat(240_000)}</status>`
  for (const attributes of ['', `to='${victim.client.address}'`, `to='${alice.name}@${domain}' type='subscribe'`])
    sender.client.write(`<presence ${attributes}>${status}</presence>`)
  sender.client.write(`<presence id='${'x'.repeat(9000)}'/>`)
  const refused = (await sender.client.ping()).filter(({ name }) => name === 'presence')
  expect(refused.map(({ attrs }) => attrs.type)).toEqual(['error', 'error', 'error', 'error'])
  expect(conditions(refused)).toEqual(new Set(['policy-violation']))
  expect((await victim.client.ping()).filter((element) => childText(element, 'status') !== null)).toEqual([])
  for (const { client } of [victim, sender]) client.destroy()
})

it('twenty devices of one account that say as much as they may do not cost each other a stream', async () => {
  const { name } = await broker.account('many')
  const devices: Reader[] = []
  for (let i = 0; i < 20; i++) devices.push(await available(name, { resource: `d${i}`, counts: i % 2 === 0 }))
  for (const { client } of devices) client.write(`<presence><status>${large}</status></presence>`.repeat(10))
  for (const { client } of devices) await client.ping()
  for (const { client } of devices) client.destroy()
})

it('presence and changes of a roster count against the quota: read slower, nothing lost (DESIGN §2)', async () => {
  const slow = await startTestBroker({ env: { CLEARBOX_QUOTA_PER_SECOND: '50', CLEARBOX_QUOTA_BURST: '5' } })
  const { name } = await slow.account('alice')
  const client = await loginClient(slow.xmppPort, name)
  const item = (i: number) => `<query xmlns='jabber:iq:roster'><item jid='c${i}@${domain}'/></query>`
  for (const [what, stanza] of [
    ['presence', (i: number) => `<presence><status>${i}</status></presence>`],
    ['iq', (i: number) => `<iq type='set' id='${i}'>${item(i)}</iq>`],
  ] as const) {
    const before = performance.now()
    client.write(Array.from({ length: 30 }, (_, i) => stanza(i)).join(''))
    const got = await client.ping()
    expect(performance.now() - before).toBeGreaterThan(400)
    expect(got.filter((element) => element.name === what)).toHaveLength(30)
  }
  client.destroy()
  await slow.stop()
})
