// The log of chat messages: the batch that appends, and reading by owner.
import { createHash } from 'node:crypto'
import { type Batcher, createBatcher } from './batcher.ts'
import type { Directory } from './directory.ts'
import { BrokerError } from './errors.ts'
import type { Logger } from './log.ts'
import type { Counters } from './metrics.ts'
import type { Appended, Appending, ArchiveRow, ArchiveStore } from './stores.ts'
import type { Admitted, Body, Content, LogEntry, Message, Party, ReceiptSink } from './types.ts'

export type LogItem = Readonly<{ id: string; message: Message; to: Party; sink: ReceiptSink; token: number }>

export type MessageLog = Readonly<{
  append(item: LogItem): void
  /** Oldest first, `seq > after`. */
  read(owner: number, after: number, limit: number): Promise<readonly LogEntry[]>
  head(owner: number): Promise<number>
  toEntry(row: ArchiveRow): LogEntry
  /** Told of every appended entry, in order per owner. */
  onAppended(listener: (entry: LogEntry) => void): void
  batcher: Batcher<unknown>
}>

export type MessageLogDeps = Readonly<{
  archive: ArchiveStore
  directory: Directory
  /** Derives the content of a stored XMPP body. */
  contentOfXml: (xml: string) => Content
  counters: Pick<Counters, 'chatAdmitted' | 'chatRepeated'>
  logger: Logger
}>

export function createMessageLog({ archive, directory, contentOfXml, counters, logger }: MessageLogDeps): MessageLog {
  const listeners: ((entry: LogEntry) => void)[] = []

  const batcher = createBatcher<LogItem>({
    name: 'log',
    maxItems: 1000,
    maxBytes: 8 * 1024 * 1024,
    logger,
    async commit(batch) {
      const outcomes = await archive.append(batch.map(toAppending))
      for (const [i, item] of batch.entries()) settle(item, outcomes[i])
    },
    fail(batch, fault) {
      for (const item of batch) settle(item, fault instanceof Error ? fault : new Error(String(fault)))
    },
  })

  function settle(item: LogItem, outcome: Appended | Error | undefined): void {
    if (outcome instanceof BrokerError) {
      item.sink.settle(item.token, outcome)
      return
    }
    if (outcome === undefined || outcome instanceof Error) {
      logger.error({ err: outcome, id: item.id }, 'a message cannot be stored')
      item.sink.settle(item.token, new BrokerError('internal', 'The message cannot be stored.', { cause: outcome }))
      return
    }
    item.sink.settle(item.token, { id: outcome.id, ts: outcome.ts, repeated: outcome.repeated })
    if (outcome.repeated) {
      counters.chatRepeated++
      return
    }
    counters.chatAdmitted++
    const message = admit(item, outcome.ts)
    for (const { owner, seq } of outcome.positions) {
      for (const listener of listeners) listener({ owner, seq, late: false, message })
    }
  }

  function contentOf(body: Body): Content {
    return body.format === 'json' ? (JSON.parse(body.text) as Content) : contentOfXml(body.text)
  }

  function toEntry(row: ArchiveRow): LogEntry {
    const { owner, seq, sender, senderName, receiver, receiverName, ...rest } = row
    const message: Admitted = {
      ...rest,
      from: directory.party(sender, senderName),
      to: directory.party(receiver, receiverName),
      content: contentOf(row.body),
      wires: new Map(),
    }
    return { owner, seq, late: true, message }
  }

  return {
    append: (item) => batcher.add(item, 300 + item.message.body.text.length * 2),
    read: async (owner, after, limit) => (await archive.read(owner, after, limit)).map(toEntry),
    head: (owner) => archive.head(owner),
    toEntry,
    onAppended: (listener) => void listeners.push(listener),
    batcher: batcher as Batcher<unknown>,
  }
}

/** The message as its receivers get it. */
export function admit({ id, message, to }: Pick<LogItem, 'id' | 'message' | 'to'>, ts: number): Admitted {
  const { kind, from, device, toResource, oid, xid, content, body } = message
  return { id, ts, kind, from, to, device, toResource, oid, xid, content, body, wires: new Map() }
}

function toAppending({ id, message, to }: LogItem): Appending {
  const { kind, from, device, toResource, oid, strictOid = false, xid, content, body } = message
  return {
    id,
    kind,
    sender: from.id,
    receiver: to.id,
    device,
    toResource,
    oid,
    strictOid,
    hash: oid === null ? null : hashOf(to.id, kind, body),
    xid,
    ref: content.ref ?? null,
    body,
    text: content.text ?? null,
    ttl: content.ttl ?? null,
  }
}

/** SHA-256 of receiver + kind + content (DESIGN §4). */
function hashOf(receiver: number, kind: string, body: Body): Buffer {
  return createHash('sha256').update(`${receiver}\n${kind}\n${body.format}\n`).update(body.text).digest()
}
