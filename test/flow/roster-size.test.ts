// Rosters are bounded in bytes, whoever fills them. DESIGN §9, RFC 6121 §2.3.3
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { childOf, type Element, elementsOf } from '../../adapters/xmpp/element.ts'
import { createDirectory } from '../../broker/directory.ts'
import { createRosters } from '../../broker/roster.ts'
import type { Party } from '../../broker/types.ts'
import { startTestBroker, type TestBroker } from '../helpers/broker.ts'
import { domain, loginClient, type XmppClient } from '../script/xmpp-client.ts'

const ns = 'jabber:iq:roster'

let broker: TestBroker
beforeAll(async () => {
  broker = await startTestBroker()
})
afterAll(() => broker.stop())

const item = (n: number, name: string, groups = 0) => {
  const texts = Array.from({ length: groups }, (_, i) => `<group>${`${i} `.padEnd(250, 'x')}</group>`)
  return `<item jid='c${n}@${domain}' name='${name}'>${texts.join('')}</item>`
}

async function ask(client: XmppClient, type: 'get' | 'set', content: string): Promise<Element> {
  client.write(`<iq type='${type}' id='ask'><query xmlns='${ns}'>${content}</query></iq>`)
  for (;;) {
    const answer = await client.until('iq')
    if (answer.attrs.id === 'ask') return answer
  }
}

async function set(client: XmppClient, content: string): Promise<string | undefined> {
  const error = childOf(await ask(client, 'set', content), 'error')
  return error && elementsOf(error)[0]?.name
}

describe('a roster', () => {
  it('takes 512 KiB of names and groups; what makes it no larger is always taken', async () => {
    const client = await loginClient(broker.xmppPort, (await broker.account('hoarder')).name)
    let taken = 0
    let refused: string | undefined
    while (refused === undefined && taken < 100) {
      refused = await set(client, item(taken, 'n', 50))
      if (refused === undefined) taken++
    }
    expect({ refused, taken }).toEqual({
      refused: 'resource-constraint',
      taken: Math.floor((512 * 1024) / (12_500 + 14)),
    })
    expect(await set(client, item(0, 'm', 50))).toBeUndefined()
    expect(await set(client, item(0, 'm'))).toBeUndefined()
    expect(await set(client, item(100, 'n', 48))).toBeUndefined()
    expect(await set(client, item(0, 'm', 50))).toBe('resource-constraint')
    const query = childOf(await ask(client, 'get', ''), 'query', ns)
    expect(query && elementsOf(query)).toHaveLength(taken + 1)
    client.destroy()
  })

  it('takes names of 255 bytes and 50 groups with an item', async () => {
    const client = await loginClient(broker.xmppPort, (await broker.account('namer')).name)
    expect(await set(client, item(1, 'ü'.repeat(127)))).toBeUndefined()
    expect(await set(client, item(1, 'ü'.repeat(128)))).toBe('not-acceptable')
    expect(await set(client, item(1, 'n', 51))).toBe('not-acceptable')
    expect(await set(client, `<item jid='c1@${domain}'><group>${'x'.repeat(256)}</group></item>`)).toBe(
      'not-acceptable',
    )
    client.destroy()
  })

  it('keeps what others ask of its owner; beyond a limit without their words', async () => {
    const { accounts, rosters: store } = broker.store
    const rosters = createRosters({
      store,
      directory: createDirectory(accounts, domain),
      domain,
      limits: { items: 1, itemBytes: 1000, requests: 3, requestBytes: 25, cachedBytes: 10_000 },
    })
    const partyOf = async (prefix: string): Promise<Party> => {
      const { name } = await broker.account(prefix)
      const account = await accounts.byName(name)
      return { id: account?.id ?? 0, name, address: `${name}@${domain}` }
    }
    const owner = await partyOf('asked')
    const strangers = [await partyOf('a'), await partyOf('b'), await partyOf('c'), await partyOf('d')]
    for (const stranger of strangers) await rosters.say(stranger, 'subscribe', owner.address, '<status/>!')
    const requests = new Map((await rosters.read(owner.id)).items.map(({ address, request }) => [address, request]))
    expect(strangers.map(({ address }) => requests.get(address))).toEqual(['<status/>!', '<status/>!', '', undefined])
    expect(await rosters.put(owner, `other@${domain}`, { name: '', groups: [] })).toBeNull()
    const [first] = strangers
    expect(first && (await rosters.say(owner, 'subscribed', first.address, ''))).toMatchObject({ code: 'quota' })
    expect(first && (await rosters.say(owner, 'unsubscribed', first.address, ''))).toBeNull()
  })
})
