// What must be true when a load has ended: everything acknowledged is there, once, in order, under the id that was told.
import assert from 'node:assert/strict'
import { type Lane, login, type Sent } from './load.ts'
import type { Received, Receiver } from './load-receiver.ts'
import type { Server } from './process.ts'

type Item = Readonly<{ id: string; seq: string; text: string }>

async function readHistory(server: Server, token: string, peer: string): Promise<readonly Item[]> {
  const items: Item[] = []
  for (let cursor: string | null = ''; cursor !== null; ) {
    const query = new URLSearchParams({ with: peer, limit: '200', ...(cursor !== '' && { cursor }) })
    const response = await fetch(`${server.http}/v1/history?${query}`, {
      headers: { authorization: `Bearer ${token}` },
    })
    assert.equal(response.status, 200)
    const page = (await response.json()) as { items: Item[]; next: string | null }
    items.unshift(...page.items)
    cursor = page.next
  }
  return items
}

/** Everything acknowledged is there once, under the id that was told, in order of `seq` and of each lane. */
export async function checkHistories(
  server: Server,
  lanes: readonly Lane[],
  { receiver, senders }: Readonly<{ receiver: string; senders: Readonly<Record<string, string>> }>,
): Promise<void> {
  const token = await login(server, receiver)
  for (const kind of ['rest', 'mqtt', 'xmpp'] as const) {
    const items = await readHistory(server, token, senders[kind] ?? '')
    assertAscending(
      items.map(({ seq }) => Number(seq)),
      `seq in the history with ${senders[kind]}`,
    )
    for (const lane of lanes.filter(({ name }) => name.includes(`-${kind}`))) {
      const own = items.filter(({ text }) => text.startsWith(`${lane.name}:`))
      assertOnceInOrder(lane, own, 'the history')
      const ids = new Map(own.map(({ text, id }) => [text, id]))
      for (const { text, id } of lane.sent) if (id !== null) assert.equal(ids.get(text), id, `the id of ${text}`)
    }
  }
}

export function checkReceived({ name, received }: Receiver, lanes: readonly Lane[]): void {
  for (const lane of lanes) {
    const copies = new Map<string, Received[]>()
    for (const message of received.filter(({ text }) => text.startsWith(`${lane.name}:`))) {
      copies.set(message.text, [...(copies.get(message.text) ?? []), message])
    }
    const firsts = [...copies.values()].flatMap(([first]) => first ?? [])
    assertOnceInOrder(lane, firsts, `session ${name}`)
    for (const [text, [first, ...repeats]] of copies) {
      if (first?.id === null)
        assert(
          repeats.every(({ dup }) => dup),
          `${text} came again to ${name} without DUP`,
        )
      else
        assert(
          repeats.every(({ id }) => id === first?.id),
          `${text} came again to ${name} with another id`,
        )
      if (name === 'offline') assert.equal(repeats.length, 0, `${text} came twice to a session that was offline`)
    }
  }
}

/** A lane has at most one message that was repeated after the kill, and that is its last. */
function assertOnceInOrder(lane: Lane, found: readonly Readonly<{ text: string }>[], place: string): void {
  const texts = found.map(({ text }) => text)
  assert.equal(new Set(texts).size, texts.length, `a message of ${lane.name} is twice in ${place}`)
  const present = new Set(texts)
  const missing = lane.sent.filter((message: Sent) => message.isAcknowledged && !present.has(message.text))
  assert.deepEqual(missing, [], `acknowledged, but not in ${place}`)
  assertAscending(
    texts.map((text) => Number(text.split(':')[1])),
    `${lane.name} in ${place}`,
  )
}

function assertAscending(numbers: readonly number[], what: string): void {
  for (const [i, number] of numbers.entries()) {
    const before = numbers[i - 1] ?? -1
    assert(before < number, `${what} is out of order: ${number} comes behind ${before}`)
  }
}
