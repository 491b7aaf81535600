// `kill -9` under load: what XEP-0198's `h` has counted is in the archive, once, when the broker is back (DESIGN §1).
import { afterAll, beforeAll, expect, it } from 'vitest'
import { eventually } from '../helpers/eventually.ts'
import { login } from '../helpers/load.ts'
import { passwordOf, type Server, startServer } from '../helpers/process.ts'
import { connectClient, type Said, type XmppClient } from '../script/xmpp-client.ts'

const smNs = 'urn:xmpp:sm:3'
const burst = 16

let server: Server
beforeAll(async () => {
  server = await startServer({ env: { CLEARBOX_QUOTA_PER_SECOND: '1000000', CLEARBOX_QUOTA_BURST: '1000000' } })
  for (const name of ['alice', 'bob']) await server.addUser(name)
})
afterAll(() => server.dispose())

type Load = Readonly<{ client: XmppClient; sent: readonly string[]; told: () => number; finished: Promise<void> }>

async function connect(): Promise<XmppClient> {
  const client = await connectClient(server.ports.xmpp)
  await client.startTls()
  await client.login('alice', passwordOf('alice'))
  await client.bind('phone')
  client.write(`<enable xmlns='${smNs}' resume='true'/>`)
  await client.until('enabled')
  return client
}

/** Sends bursts, and asks after each, until the server is gone. */
async function load(round: number): Promise<Load> {
  const client = await connect()
  const sent: string[] = []
  let told = 0
  const send = () => {
    const texts = Array.from({ length: burst }, (_, i) => `${round}:${sent.length + i}`)
    sent.push(...texts)
    client.write(texts.map((text) => `<message to='bob@localhost' type='chat'><body>${text}</body></message>`).join(''))
    client.write(`<r xmlns='${smNs}'/>`)
  }
  const isGone = (said: Said) => said === 'end' || said === 'close'
  const run = async () => {
    send()
    send()
    for (let said = await client.next(); !isGone(said); said = await client.next()) {
      if (typeof said === 'string' || !('name' in said) || said.name !== 'a') continue
      told = Math.max(told, Number(said.attrs.h))
      while (sent.length - told < 2 * burst) send()
    }
  }
  return { client, sent, told: () => told, finished: run() }
}

/** What bob has of alice, oldest first. */
async function history(): Promise<readonly string[]> {
  const headers = { authorization: `Bearer ${await login(server, 'bob')}` }
  const texts: string[] = []
  for (let cursor: string | null = ''; cursor !== null; ) {
    const query = new URLSearchParams({ with: 'alice', limit: '200', ...(cursor !== '' && { cursor }) })
    const response = await fetch(`${server.http}/v1/history?${query}`, { headers })
    const page = (await response.json()) as { items: { text: string }[]; next: string | null }
    texts.unshift(...page.items.map(({ text }) => text))
    cursor = page.next
  }
  return texts
}

for (const [round, victims] of (['broker', 'broker and database', 'broker'] as const).entries()) {
  it(`kill -9 of ${victims} loses nothing that h has counted`, async () => {
    const { client, sent, told, finished } = await load(round)
    await eventually(() => told() > 300 + Math.random() * 300, 30_000)
    await server.kill(victims)
    await finished
    client.destroy()
    server = await server.restart()
    const texts = await history()
    const own = texts.filter((text) => text.startsWith(`${round}:`))
    expect(own).toEqual(sent.slice(0, own.length))
    expect(own.length).toBeGreaterThanOrEqual(told())
    console.log(JSON.stringify({ victims, sent: sent.length, told: told(), stored: own.length }))
  })
}
