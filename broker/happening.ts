// What happens that someone may have to account for. Types only.
import type { Border } from './types.ts'

/** What the audit trail tells; what the log of messages says already is not written twice. */
export type Action =
  | 'login.succeeded'
  | 'login.failed'
  | 'login.held'
  | 'login.ended'
  | 'token.reused'
  | 'history.read'
  | 'audit.read'
  | 'account.created'
  | 'account.password'
  | 'account.deleted'
  | 'store.exported'
  | 'store.imported'

/** `account` and `name`: who did it, as far as that is known; `target`: to whom or what. Never a secret, never a message. */
export type Happening = Readonly<{
  action: Action
  border: Border
  account?: number | null
  name?: string | null
  address?: string | null
  target?: string | null
  detail?: Readonly<Record<string, string | number>>
}>

/** A business event told once: metric, line of the log and row of the audit trail. */
export interface Events {
  /** Returns at once; the row is written behind. */
  record(happening: Happening): void
}
