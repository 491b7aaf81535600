// Receipts and read markers: of each conversation and account the newest one, told on `evt` (DESIGN §2).
import { type Batcher, createBatcher } from './batcher.ts'
import type { Directory } from './directory.ts'
import { BrokerError } from './errors.ts'
import type { Logger } from './log.ts'
import { jsonBody } from './message.ts'
import type { LogItem, MessageLog } from './message-log.ts'
import type { Raised, Raising, WatermarkRow, WatermarkStore } from './stores.ts'
import type { Admitted, Kind, LogEntry, Party } from './types.ts'

export type WatermarkKind = Raising['kind']

export function isWatermark(kind: Kind): kind is WatermarkKind {
  return kind === 'receipt' || kind === 'marker'
}

export type Watermarks = Pick<MessageLog, 'read' | 'onAppended'> &
  Readonly<{
    /** A message of a kind that is a watermark. Refused when it names no message that its receiver has sent to its sender. */
    append(item: LogItem): void
    batcher: Batcher<unknown>
  }>

export type WatermarksDeps = Readonly<{
  store: Pick<WatermarkStore, 'raise' | 'read'>
  lastPosition: number
  directory: Pick<Directory, 'party'>
  logger: Logger
}>

type Item = LogItem & Readonly<{ kind: WatermarkKind; n: number }>

export function createWatermarks({ store, lastPosition, directory, logger }: WatermarksDeps): Watermarks {
  let position = lastPosition
  const listeners: ((entry: LogEntry) => void)[] = []

  const batcher = createBatcher<Item>({
    name: 'watermarks',
    maxItems: 500,
    maxBytes: 1024 * 1024,
    logger,
    async commit(batch) {
      const outcomes = await store.raise(batch.map(toRaising))
      for (const [i, item] of batch.entries()) settle(item, outcomes[i] ?? null)
    },
    fail(batch, fault) {
      for (const { sink, token } of batch) sink.settle(token, new BrokerError('internal', undefined, { cause: fault }))
    },
  })

  function settle(item: Item, raised: Raised | null): void {
    if (raised === null) {
      item.sink.settle(item.token, new BrokerError('bad-payload', 'ref names no message that the receiver has sent.'))
      return
    }
    item.sink.settle(item.token, { id: item.id, ts: raised.at, repeated: false })
    const { from, kind, body } = item.message
    const message = { ...toAdmitted({ ...raised, id: item.id, kind, from, to: item.to }), body }
    for (const owner of raised.owners) {
      for (const listener of listeners) listener({ owner, seq: item.n, late: false, message })
    }
  }

  function toEntry(row: WatermarkRow): LogEntry {
    const [owner, peer] = [directory.party(row.owner, row.ownerName), directory.party(row.peer, row.peerName)]
    const [from, to] = row.account === row.owner ? [owner, peer] : [peer, owner]
    return { owner: row.owner, seq: row.n, late: true, message: toAdmitted({ ...row, from, to }) }
  }

  return {
    append(item) {
      const { kind } = item.message
      if (isWatermark(kind)) batcher.add({ ...item, kind, n: ++position }, 300)
    },
    read: async (owner, after, limit) => (await store.read(owner, after, limit)).map(toEntry),
    onAppended: (listener) => void listeners.push(listener),
    batcher: batcher as Batcher<unknown>,
  }
}

function toRaising({ id, n, kind, message, to }: Item): Raising {
  const { xref, content } = message
  const ref = xref === undefined ? { id: content.ref ?? '' } : { xid: xref }
  return { id, n, kind, account: message.from.id, peer: to.id, ref }
}

type Shown = Pick<WatermarkRow, 'id' | 'at' | 'message' | 'xid'> & Readonly<{ kind: Kind; from: Party; to: Party }>

function toAdmitted({ id, at, kind, from, to, message, xid }: Shown): Admitted {
  const content = { ref: message }
  const nobody = { device: null, toResource: null, oid: null, xid: null }
  return { id, ts: at, kind, from, to, ...nobody, content, refXid: xid, body: jsonBody(content), wires: new Map() }
}
