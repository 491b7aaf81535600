// What a plain publication that must outlive a crash is waited for with.
import type { Receipt, ReceiptSink } from './types.ts'

/** Who waits for a commit; null: nobody (retained QoS 0). */
export type Waiter = Readonly<{ sink: ReceiptSink; token: number }> | null

/** A plain publication has no id; its receipt says only that it is durable. */
export const durable: Receipt = Object.freeze({ id: '', ts: 0, repeated: false })
