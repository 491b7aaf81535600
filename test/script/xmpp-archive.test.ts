// XEP-0313 with XEP-0059: catching up and looking back, as Conversations and Gajim do it.
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { childOf, childText, type Element, elementsOf } from '../../adapters/xmpp/element.ts'
import { adminPassword, startTestBroker, type TestBroker } from '../helpers/broker.ts'
import { logIn } from '../helpers/rest.ts'
import { domain, loginClient, type XmppClient } from './xmpp-client.ts'

const mamNs = 'urn:xmpp:mam:2'
const rsmNs = 'http://jabber.org/protocol/rsm'
const forwardNs = 'urn:xmpp:forward:0'

let broker: TestBroker
beforeAll(async () => {
  broker = await startTestBroker()
})
afterAll(() => broker.stop())

type Shown = Readonly<{ id: string; text: string | null; stamp: string; from: string }>
type Answer = Readonly<{
  shown: readonly Shown[]
  texts: readonly (string | null)[]
  isComplete: boolean
  set: Element
}>
type Field = readonly [name: string, ...values: string[]]

/** Says which error, if it is one. */
async function ask(client: XmppClient, fields: readonly Field[], paging = '', more = ''): Promise<Answer | string> {
  const values = (all: readonly string[]) => all.map((value) => `<value>${value}</value>`).join('')
  const form = [['FORM_TYPE', mamNs] as Field, ...fields]
    .map(([name, ...all]) => `<field var='${name}'>${values(all)}</field>`)
    .join('')
  const set = paging === '' ? '' : `<set xmlns='${rsmNs}'>${paging}</set>`
  client.write(
    `<iq type='set' id='q'><query xmlns='${mamNs}' queryid='f1'><x xmlns='jabber:x:data' type='submit'>${form}</x>${set}${more}</query></iq>`,
  )
  const shown: Shown[] = []
  for (;;) {
    const element = await client.element()
    if (element.name === 'message') shown.push(toShown(element))
    else return element.attrs.type === 'error' ? conditionOf(element) : toAnswer(element, shown)
  }
}

function conditionOf(iq: Element): string {
  const error = childOf(iq, 'error')
  return (error && elementsOf(error)[0]?.name) ?? ''
}

function toShown(element: Element): Shown {
  const result = childOf(element, 'result', mamNs)
  const forwarded = result && childOf(result, 'forwarded', forwardNs)
  const message = forwarded && childOf(forwarded, 'message', 'jabber:client')
  const delay = forwarded && childOf(forwarded, 'delay', 'urn:xmpp:delay')
  if (!result || !message || !delay || result.attrs.queryid !== 'f1') throw new Error('no result')
  const { id = '' } = result.attrs
  return { id, text: childText(message, 'body'), stamp: delay.attrs.stamp ?? '', from: message.attrs.from ?? '' }
}

function toAnswer(iq: Element, shown: readonly Shown[]): Answer {
  const fin = childOf(iq, 'fin', mamNs)
  const set = fin && childOf(fin, 'set', rsmNs)
  if (!fin || !set) throw new Error('no fin')
  return { shown, texts: shown.map(({ text }) => text), isComplete: fin.attrs.complete === 'true', set }
}

async function page(client: XmppClient, fields: readonly Field[], paging = '', more = ''): Promise<Answer> {
  const answer = await ask(client, fields, paging, more)
  if (typeof answer === 'string') throw new Error(answer)
  return answer
}

type Stage = Readonly<{ client: XmppClient; peers: readonly string[]; all: Answer }>

/** A log of `length` messages from two peers in turn. */
async function stage(length: number): Promise<Stage> {
  const [owner, ...peers] = [await broker.account('owner'), await broker.account('peer'), await broker.account('peer')]
  const senders = await Promise.all(peers.map(({ name }) => loginClient(broker.xmppPort, name, 'phone')))
  for (let i = 0; i < length; i++) {
    const sender = senders[i % 2]
    sender?.write(`<message to='${owner.name}@${domain}' type='chat'><body>${i}</body></message>`)
    await sender?.ping()
  }
  for (const sender of senders) sender.destroy()
  const client = await loginClient(broker.xmppPort, owner.name, 'desk')
  return { client, peers: peers.map(({ name }) => name), all: await page(client, []) }
}

function numbers(from: number, to: number): readonly string[] {
  return Array.from({ length: to - from }, (_, i) => `${from + i}`)
}

describe('paging (XEP-0059)', () => {
  it('goes forward from an id until it is complete', async () => {
    const { client } = await stage(23)
    const texts: (string | null)[] = []
    let paging = '<max>5</max>'
    for (;;) {
      const { texts: next, isComplete, set } = await page(client, [], paging)
      texts.push(...next)
      if (isComplete) break
      paging = `<max>5</max><after>${childText(set, 'last')}</after>`
    }
    expect(texts).toEqual(numbers(0, 23))
    client.destroy()
  })

  it('goes backward from the end, each page oldest first', async () => {
    const { client } = await stage(23)
    const texts: (string | null)[] = []
    let before = ''
    for (;;) {
      const { texts: next, isComplete, set } = await page(client, [], `<max>5</max><before>${before}</before>`)
      texts.unshift(...next)
      if (isComplete) break
      before = childText(set, 'first') ?? ''
    }
    expect(texts).toEqual(numbers(0, 23))
    client.destroy()
  })

  it('jumps to an index, tells a number, and never answers more than 250 at once', async () => {
    const { client } = await stage(10)
    const jumped = await page(client, [], '<max>3</max><index>4</index>')
    expect(jumped.texts).toEqual(['4', '5', '6'])
    expect(childOf(jumped.set, 'first')?.attrs.index).toBe('4')
    expect(childText(jumped.set, 'count')).toBe('10')
    const counted = await page(client, [], '<max>0</max>')
    expect([counted.texts, childText(counted.set, 'count'), counted.isComplete]).toEqual([[], '10', false])
    expect((await page(client, [], '<max>1000000</max>')).isComplete).toBe(true)
    client.destroy()
  })

  it('between two ids answers what lies between', async () => {
    const { client, all } = await stage(8)
    const paging = `<max>20</max><after>${all.shown[1]?.id}</after><before>${all.shown[6]?.id}</before>`
    expect((await page(client, [], paging)).texts).toEqual(numbers(2, 6))
    client.destroy()
  })

  it('from an id that the archive does not have is refused, and so is nonsense', async () => {
    const { client } = await stage(1)
    const unknown = '0197f000-0000-7000-8000-000000000000'
    expect(await ask(client, [], `<after>${unknown}</after>`)).toBe('item-not-found')
    expect(await ask(client, [], '<before>what?</before>')).toBe('item-not-found')
    expect(await ask(client, [], '<max>many</max>')).toBe('bad-request')
    client.destroy()
  })
})

describe('filters (XEP-0313 §4.1)', () => {
  it('by conversation, and by one device of it', async () => {
    const { client, peers } = await stage(6)
    const [peer] = peers
    expect((await page(client, [['with', `${peer}@${domain}`]])).texts).toEqual(['0', '2', '4'])
    expect((await page(client, [['with', `${peer}@${domain}`]], '<max>1</max><before/>')).texts).toEqual(['4'])
    expect((await page(client, [['with', `${peer}@${domain}/phone`]])).texts).toEqual(['0', '2', '4'])
    expect((await page(client, [['with', `${peer}@${domain}/tablet`]])).texts).toEqual([])
    for (const stranger of [`nobody@${domain}`, `${peer}@elsewhere.org`]) {
      expect(await page(client, [['with', stranger]])).toMatchObject({ texts: [], isComplete: true })
    }
    expect(await ask(client, [['with', 'a@@b']])).toBe('bad-request')
    client.destroy()
  })

  it('by time, with the stamps that were shown', async () => {
    const { client, all } = await stage(9)
    const stamp = (n: number) => all.shown[n]?.stamp ?? ''
    const isDistinct = new Set(all.shown.map((one) => one.stamp)).size === 9
    if (isDistinct) {
      expect(
        (
          await page(client, [
            ['start', stamp(3)],
            ['end', stamp(5)],
          ])
        ).texts,
      ).toEqual(['3', '4', '5']) // prettier-ignore
      expect((await page(client, [['start', stamp(7)]])).texts).toEqual(['7', '8'])
    }
    expect((await page(client, [['end', '2001-01-01T00:00:00Z']])).texts).toEqual([])
    expect((await page(client, [['start', '2001-01-01T00:00:00+02:00']])).texts).toHaveLength(9)
    expect((await page(client, [['start', '2999-01-01T00:00:00.123456Z']])).texts).toEqual([])
    expect(await ask(client, [['start', 'yesterday']])).toBe('bad-request')
    client.destroy()
  })

  it('by ids', async () => {
    const { client, all } = await stage(6)
    const id = (n: number) => all.shown[n]?.id ?? ''
    expect((await page(client, [['ids', id(4), id(1)]])).texts).toEqual(['1', '4'])
    expect(
      (
        await page(client, [
          ['after-id', id(1)],
          ['before-id', id(4)],
        ])
      ).texts,
    ).toEqual(['2', '3']) // prettier-ignore
    expect(await ask(client, [['ids', id(1), 'gone']])).toBe('item-not-found')
    expect(await ask(client, [['after-id', 'gone']])).toBe('item-not-found')
    client.destroy()
  })

  it('turned over when it is asked for', async () => {
    const { client } = await stage(4)
    const { texts, set } = await page(client, [], '<max>3</max>', '<flip-page/>')
    expect(texts).toEqual(['2', '1', '0'])
    expect(childText(set, 'first')).not.toBe(childText(set, 'last'))
    client.destroy()
  })

  it.each([
    ['a field that nobody knows', [['wish', 'x'] as const]],
    ['a form of another type', [['FORM_TYPE', 'urn:x'] as const]],
  ])('refuse %s', async (_name, fields) => {
    const { client } = await stage(0)
    expect(await ask(client, fields)).toBe('bad-request')
    client.destroy()
  })
})

describe('one archive for all protocols', () => {
  it('shows what REST and MQTT have sent, under the ids that they were told', async () => {
    const [alice, bob] = [await broker.account('alice'), await broker.account('bob')]
    const rest = await logIn(broker.http, alice)
    const sent = (await rest.post('/v1/messages', { to: bob.name, text: 'by REST' })).json
    const client = await loginClient(broker.xmppPort, alice.name, 'desk')
    const { shown } = await page(client, [['with', `${bob.name}@${domain}`]])
    expect(shown).toMatchObject([{ id: sent.id, text: 'by REST', from: `${alice.name}@${domain}` }])
    client.destroy()
  })

  it('cuts a page short that would be too large to keep', async () => {
    const [alice, bob] = [await broker.account('alice'), await broker.account('bob')]
    const sender = await loginClient(broker.xmppPort, alice.name)
    const text = 'x'.repeat(60_000)
    for (let i = 0; i < 20; i++) sender.write(`<message to='${bob.name}@${domain}'><body>${i}${text}</body></message>`)
    await sender.ping()
    const { texts, isComplete } = await page(sender, [])
    expect(texts.length).toBeGreaterThan(5)
    expect(texts.length).toBeLessThan(10)
    expect(isComplete).toBe(false)
    sender.destroy()
  })

  it('leaves a row in the audit trail when it is read', async () => {
    const [alice, bob] = [await broker.account('alice'), await broker.account('bob')]
    const client = await loginClient(broker.xmppPort, alice.name, 'desk')
    await page(client, [])
    await page(client, [['with', `${bob.name}@${domain}`]])
    const admin = await logIn(broker.http, { name: 'admin', password: adminPassword })
    const rows = async () => (await admin.get(`/v1/admin/audit?name=${alice.name}&action=history.read`)).json.items
    await expect.poll(rows, { interval: 300, timeout: 15_000 }).toMatchObject([
      { border: 'xmpp', name: alice.name, target: bob.name },
      { border: 'xmpp', name: alice.name, target: null },
    ])
    client.destroy()
  })
})
