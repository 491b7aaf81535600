import { connectAsync } from 'mqtt'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { startTestBroker, type TestBroker } from '../helpers/broker.ts'
import { createRest, logIn } from '../helpers/rest.ts'

let broker: TestBroker
beforeAll(async () => {
  broker = await startTestBroker()
})
afterAll(() => broker.stop())

async function pair() {
  const [alice, bob] = [await broker.account('alice'), await broker.account('bob')]
  return { alice, bob, asAlice: await logIn(broker.http, alice), asBob: await logIn(broker.http, bob) }
}

type Item = Record<string, unknown>
const items = (json: Record<string, unknown>) => json.items as Item[]

describe('POST /v1/messages', () => {
  test('201 tells the id and the time that both ends find in their history', async () => {
    const { alice, bob, asAlice, asBob } = await pair()
    const sent = await asAlice.post('/v1/messages', { to: bob.name, text: 'hi', lang: 'en', data: { a: [1] } })
    expect(sent.status).toBe(201)
    expect(sent.json).toEqual({ id: expect.stringMatching(/^[0-9a-f-]{36}$/), ts: expect.stringMatching(/Z$/) })
    const envelope = {
      v: 1,
      kind: 'message',
      from: `${alice.name}@localhost`,
      to: `${bob.name}@localhost`,
      text: 'hi',
      lang: 'en',
      data: { a: [1] },
      ...sent.json,
    }
    expect(items((await asBob.get(`/v1/history?with=${alice.name}`)).json)).toEqual([expect.objectContaining(envelope)])
    expect(items((await asAlice.get(`/v1/history?with=${bob.name}`)).json)).toEqual([expect.objectContaining(envelope)])
  })

  test('a full address in any spelling reaches the account; what the server sets is taken from the server', async () => {
    const { alice, bob, asAlice, asBob } = await pair()
    const to = `${bob.name.toUpperCase()}@LocalHost`
    const sent = await asAlice.post('/v1/messages', { to, text: 'hi', from: 'mallory@localhost', id: 'x', seq: '1' })
    expect(sent.status).toBe(201)
    const [item] = items((await asBob.get(`/v1/history?with=${alice.name}`)).json)
    expect(item).toMatchObject({ id: sent.json.id, from: `${alice.name}@localhost` })
  })

  test('DESIGN §4: a repeat with the same Idempotency-Key gets the first answer and is stored once', async () => {
    const { bob, asAlice } = await pair()
    const body = { to: bob.name, text: 'once' }
    const [first, second] = [
      await asAlice.post('/v1/messages', body, { 'idempotency-key': 'k1' }),
      await asAlice.post('/v1/messages', { ...body, oid: 'k1' }, { 'idempotency-key': '"k1"' }),
    ]
    expect(first.status).toBe(201)
    expect(second.json).toEqual(first.json)
    expect(items((await asAlice.get(`/v1/history?with=${bob.name}`)).json)).toHaveLength(1)
  })

  test('DESIGN §4: a key that comes back with other content is 422, whoever used it first; and stores nothing', async () => {
    const { alice, bob, asAlice } = await pair()
    const key = { 'idempotency-key': 'k1' }
    const first = await asAlice.post('/v1/messages', { to: bob.name, text: 'one' }, key)
    const other = await asAlice.post('/v1/messages', { to: bob.name, text: 'two' }, key)
    expect(other).toMatchObject({ status: 422, type: 'application/problem+json' })
    expect(other.json.type).toBe('urn:problem-type:clearbox:key-reused')
    const client = await connectAsync(`mqtt://127.0.0.1:${broker.mqttPort}`, {
      username: alice.name,
      password: alice.password,
      protocolVersion: 5,
    })
    // The same key over MQTT: a repeat of the first, and a new message, which REST then refuses to repeat otherwise.
    const send = (text: string, oid: string) =>
      client.publishAsync(`u/${bob.name}/in`, text, { qos: 1, properties: { userProperties: { 'cb-oid': oid } } })
    await send('one', 'k1')
    await send('three', 'k2')
    await client.endAsync()
    const repeat = await asAlice.post('/v1/messages', { to: bob.name, text: 'three' }, { 'idempotency-key': 'k2' })
    expect(repeat.status).toBe(201)
    const fourth = await asAlice.post('/v1/messages', { to: bob.name, text: 'four' }, { 'idempotency-key': 'k2' })
    expect(fourth.status).toBe(422)
    const texts = items((await asAlice.get(`/v1/history?with=${bob.name}`)).json).map(({ text, id }) => [text, id])
    expect(texts).toEqual([
      ['one', first.json.id],
      ['three', repeat.json.id],
    ])
  })

  test('a receiver that does not exist is refused like one that does not want to be written to', async () => {
    const { asAlice } = await pair()
    const { status, type, json } = await asAlice.post('/v1/messages', { to: 'nobody-at-all', text: 'hi' })
    expect({ status, type }).toEqual({ status: 403, type: 'application/problem+json' })
    expect(json.type).toBe('urn:problem-type:clearbox:refused')
  })

  test.each([
    ['no receiver', { text: 'hi' }, '#/to'],
    ['a receiver that is no name', { to: 'a b', text: 'hi' }, '#/to'],
    ['a receiver of another domain', { to: 'bob@elsewhere.org', text: 'hi' }, '#/to'],
    ['no content', { to: 'bob' }, '#/text'],
    ['a text that is none', { to: 'bob', text: 5 }, '#/text'],
    ['U+0000', { to: 'bob', text: 'a\0b' }, '#/text'],
    ['a kind that is not sendable', { to: 'bob', text: 'hi', kind: 'error' }, '#/kind'],
    ['a field that nobody knows', { to: 'bob', text: 'hi', bogus: 1 }, '#/bogus'],
    ['a field inside a field', { to: 'bob', text: 'hi', reply: { id: 5 } }, '#/reply/id'],
    ['a body that is no object', [], '#'],
  ])('RFC 9457: %s is a problem that points at the field', async (_what, body, pointer) => {
    const { asAlice } = await pair()
    const { status, json } = await asAlice.post('/v1/messages', body)
    expect(status).toBe(400)
    expect(json).toMatchObject({ type: 'urn:problem-type:clearbox:bad-payload', status: 400 })
    expect(json.errors).toContainEqual({ pointer, detail: expect.any(String) })
  })

  test('two keys that differ are a problem, not a guess', async () => {
    const { bob, asAlice } = await pair()
    const { status, json } = await asAlice.post(
      '/v1/messages',
      { to: bob.name, text: 'hi', oid: 'a' },
      { 'idempotency-key': 'b' },
    )
    expect(status).toBe(400)
    expect(json.errors).toEqual([{ pointer: '#/oid', detail: 'must be the same as Idempotency-Key' }])
  })

  test('more than 64 KiB is 413', async () => {
    const { bob, asAlice } = await pair()
    const text = 'é'.repeat(40_000)
    expect((await asAlice.post('/v1/messages', { to: bob.name, text })).status).toBe(413)
    expect((await asAlice.post('/v1/messages', { to: bob.name, text: text.repeat(3) })).status).toBe(413)
  })

  test('without a good token nothing is read of the body: 401 with WWW-Authenticate', async () => {
    const { alice } = await pair()
    for (const authorization of ['', 'Bearer', 'Bearer x.y.z', 'Basic YTpi']) {
      const answer = await createRest(broker.http).post('/v1/messages', '{', { authorization })
      expect(answer.status).toBe(401)
      // RFC 6750 §3.1
      const fault = authorization === 'Bearer x.y.z' ? ', error="invalid_token"' : ''
      expect(answer.headers.get('www-authenticate')).toBe(`Bearer realm="clearbox"${fault}`)
      expect(answer.text).not.toContain(alice.name)
    }
  })
})

describe('GET /v1/history', () => {
  test('pages lead from the newest to the oldest, oldest first within the page, each message once', async () => {
    const { alice, bob, asAlice, asBob } = await pair()
    for (let n = 1; n <= 7; n++) {
      const [rest, to] = n % 2 ? [asAlice, bob.name] : [asBob, alice.name]
      await rest.post('/v1/messages', { to, text: String(n) })
    }
    const pages: string[][] = []
    let next: unknown = ''
    while (next !== null) {
      const cursor = next ? `&cursor=${encodeURIComponent(String(next))}` : ''
      const { json } = await asAlice.get(`/v1/history?with=${bob.name}@localhost&limit=3${cursor}`)
      pages.push(items(json).map((item) => String(item.text)))
      next = json.next
    }
    expect(pages).toEqual([['5', '6', '7'], ['2', '3', '4'], ['1']])
  })

  test('a page ends where its messages have 512 KiB, and the next one goes on', async () => {
    const { bob, asAlice } = await pair()
    const texts = Array.from({ length: 20 }, (_, n) => `${n} ${'x'.repeat(60_000)}`)
    for (const text of texts) await asAlice.post('/v1/messages', { to: bob.name, text })
    const first = (await asAlice.get(`/v1/history?with=${bob.name}&limit=200`)).json
    expect(items(first).map(({ text }) => text)).toEqual(texts.slice(-8))
    const { json } = await asAlice.get(`/v1/history?with=${bob.name}&limit=200&cursor=${first.next}`)
    expect(items(json).map(({ text }) => text)).toEqual(texts.slice(-16, -8))
  })

  test('a page that holds the last messages exactly has no next', async () => {
    const { bob, asAlice } = await pair()
    for (const text of ['1', '2']) await asAlice.post('/v1/messages', { to: bob.name, text })
    const { json } = await asAlice.get(`/v1/history?with=${bob.name}&limit=2`)
    expect(json.next).toBeNull()
    expect(items(json)).toHaveLength(2)
  })

  test('only one’s own conversations are shown, and an unknown name has an empty one', async () => {
    const { alice, bob, asAlice } = await pair()
    const stranger = await logIn(broker.http, await broker.account('eve'))
    await asAlice.post('/v1/messages', { to: bob.name, text: 'secret' })
    const empty = { items: [], next: null }
    expect((await stranger.get(`/v1/history?with=${alice.name}`)).json).toEqual(empty)
    expect((await stranger.get(`/v1/history?with=${bob.name}`)).json).toEqual(empty)
    expect((await stranger.get('/v1/history?with=nobody-at-all')).json).toEqual(empty)
  })

  test('a message to oneself stands there once', async () => {
    const { alice, asAlice } = await pair()
    await asAlice.post('/v1/messages', { to: alice.name, text: 'note' })
    expect(items((await asAlice.get(`/v1/history?with=${alice.name}`)).json)).toHaveLength(1)
  })

  test.each([
    ['', 'with'],
    ['with=bob&limit=0', 'limit'],
    ['with=bob&limit=201', 'limit'],
    ['with=bob&limit=x', 'limit'],
    ['with=bob&cursor=zz', 'cursor'],
  ])('the query %j is a problem that names the parameter', async (query, parameter) => {
    const { asAlice } = await pair()
    const { status, json } = await asAlice.get(`/v1/history?${query}`)
    expect(status).toBe(400)
    expect(json.errors).toContainEqual({ parameter, detail: expect.any(String) })
  })
})
