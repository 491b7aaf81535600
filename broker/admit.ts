// THE DOOR for chat: policy → id → batch → receipt.
import { setTimeout as pause } from 'node:timers/promises'
import type { Directory } from './directory.ts'
import { BrokerError } from './errors.ts'
import { admit as admitted, type LogItem, type MessageLog } from './message-log.ts'
import type { Counters } from './metrics.ts'
import type { Quota } from './quota.ts'
import { TransientStoreError } from './stores.ts'
import type { Admission, LogEntry, Message, Party, ReceiptSink } from './types.ts'
import { createUuid } from './uuid.ts'
import { isWatermark, type Watermarks } from './watermarks.ts'

export type AdmissionDeps = Readonly<{
  directory: Directory
  log: MessageLog
  watermarks: Pick<Watermarks, 'append'>
  quota: Quota
  /** Delivers what is never stored to whom follows now. */
  live: (entry: LogEntry) => void
  counters: Counters
}>

type Arrival = Readonly<{ message: Message; sink: ReceiptSink; token: number }>

const nobody: ReceiptSink = { settle: () => undefined }
const lookupTries = 40
const lookupPauseMs = 250

export function createAdmission({ directory, log, watermarks, quota, live, counters }: AdmissionDeps): Admission {
  // A sender whose receiver must be looked up first: its later messages wait behind, so that their order stays.
  const lookups = new Map<number, Arrival[]>()

  function accept({ message, sink, token }: Arrival, to: Party | null): void {
    const sender = message.from.id
    if (to === null) {
      counters.chatRefused++
      sink.settle(token, new BrokerError('refused'))
      return
    }
    const id = createUuid()
    const item = { id, message, to, sink, token }
    if (isWatermark(message.kind) && raise(watermarks, item)) return
    if (message.stored) {
      log.append(item)
      return
    }
    const ts = Date.now()
    const entry = { seq: 0, late: false, message: admitted({ id, message, to }, ts) }
    live({ owner: to.id, ...entry })
    // The sender's other devices see it, as they see what is stored.
    if (sender !== to.id) live({ owner: sender, ...entry })
    sink.settle(token, { id, ts, repeated: false })
  }

  async function lookUp(sender: number, arrivals: Arrival[]): Promise<void> {
    for (let arrival = arrivals[0]; arrival; arrival = arrivals[0]) {
      try {
        const { to } = arrival.message
        accept(arrival, directory.known(to) ?? (await lookupPatiently(to)))
      } catch (fault) {
        arrival.sink.settle(arrival.token, new BrokerError('overload', undefined, { cause: fault }))
      }
      arrivals.shift()
    }
    lookups.delete(sender)
  }

  /** The store may be away for a moment; that is no refusal. */
  async function lookupPatiently(name: string): Promise<Party | null> {
    for (let tries = 1; ; tries++) {
      try {
        return await directory.lookup(name)
      } catch (fault) {
        if (!(fault instanceof TransientStoreError) || tries === lookupTries) throw fault
        await pause(lookupPauseMs)
      }
    }
  }

  return {
    delayMs: (account) => quota.delayMs(account),
    spend: quota.take,
    admit(message, sink, token) {
      const arrival = { message, sink, token }
      const sender = message.from.id
      quota.take(sender)
      const waiting = lookups.get(sender)
      if (waiting) {
        waiting.push(arrival)
        return
      }
      const to = directory.known(message.to)
      if (to) {
        accept(arrival, to)
        return
      }
      const arrivals = [arrival]
      lookups.set(sender, arrivals)
      void lookUp(sender, arrivals)
    },
  }
}

/** False: the message itself goes on its way, too: between XMPP clients nothing of it is lost. */
function raise(watermarks: AdmissionDeps['watermarks'], item: LogItem): boolean {
  const { body, xref } = item.message
  if (body.format === 'json') watermarks.append(item)
  // To other protocols it is what it says; that it names nothing known is no error (DESIGN §4).
  else if (xref !== undefined) watermarks.append({ ...item, sink: nobody })
  return body.format === 'json'
}
