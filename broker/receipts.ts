// Delivery receipts: what the first chat device has acknowledged, its sender is told if it may see the receiver (DESIGN §3).
import type { Rosters } from './contacts.ts'
import type { Logger } from './log.ts'
import { jsonBody } from './message.ts'
import type { LogEntry, Message, Party, ReceiptSink } from './types.ts'
import { createUuid } from './uuid.ts'
import type { Watermarks } from './watermarks.ts'

export type Receipts = Readonly<{
  /** A chat device of the entry's owner has it. */
  delivered(entry: LogEntry): void
}>

type Deps = Readonly<{
  rosters: Pick<Rosters, 'audience'>
  watermarks: Pick<Watermarks, 'append'>
  logger: Logger
}>

const nobody: ReceiptSink = { settle: () => undefined }
const maxRemembered = 50_000

export function createReceipts({ rosters, watermarks, logger }: Deps): Receipts {
  /** By receiver and sender the last seq that was told; other devices acknowledge the same. */
  const told = new Map<string, number>()

  function isNew({ owner, seq, message }: LogEntry): boolean {
    const key = `${owner}/${message.from.id}`
    if (seq <= (told.get(key) ?? 0)) return false
    if (told.size >= maxRemembered) told.clear()
    told.set(key, seq)
    return true
  }

  function tell(entry: LogEntry, audience: readonly Party[]): void {
    const { from } = entry.message
    if (audience.every((viewer) => viewer.id !== from.id)) return
    watermarks.append({ id: createUuid(), message: receiptOf(entry), to: from, sink: nobody, token: 0 })
  }

  return {
    delivered(entry) {
      const { owner, message } = entry
      const { from, to, kind } = message
      if (from.id === owner || to.id !== owner || kind !== 'message' || !isNew(entry)) return
      const audience = rosters.audience(to)
      if (!(audience instanceof Promise)) {
        tell(entry, audience)
        return
      }
      audience
        .then((late) => tell(entry, late))
        .catch((err: unknown) => logger.warn({ err, message: message.id }, 'a sender was not told of a delivery'))
    },
  }
}

function receiptOf({ message: { from, to, id } }: LogEntry): Message {
  const content = { ref: id }
  const nothing = { device: null, toResource: null, oid: null, xid: null }
  return { kind: 'receipt', from: to, to: from.name, ...nothing, content, body: jsonBody(content), stored: false }
}
