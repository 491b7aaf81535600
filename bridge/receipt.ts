import { BrokerError } from '../broker/errors.ts'
import type { Receipt, ReceiptSink } from '../broker/types.ts'

/** Waits for the commit; what takes longer may still be stored, and `detail` says what that means. */
export function awaitReceipt(start: (sink: ReceiptSink) => void, timeoutMs: number, detail: string): Promise<Receipt> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new BrokerError('overload', detail)), timeoutMs)
    start({
      settle(_token, outcome) {
        clearTimeout(timer)
        if (outcome instanceof BrokerError) reject(outcome)
        else resolve(outcome)
      },
    })
  })
}
