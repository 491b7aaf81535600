import { toAuditRow } from '../broker/events.ts'
import type { Action } from '../broker/happening.ts'
import type { AuditStore } from '../broker/stores.ts'

/** Who may run the command line on this machine is an administrator; the row names the system's user. */
export async function audit(store: Pick<AuditStore, 'append'>, action: Action, target: string | null): Promise<void> {
  const uid = process.getuid?.()
  const detail = uid === undefined ? {} : { uid }
  await store.append([toAuditRow({ action, border: 'cli', target, detail })])
}
