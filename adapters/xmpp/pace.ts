// When a stream must wait before it takes its next stanza (DESIGN §5 and §9).
import type { Limits } from '../../broker/limits.ts'
import type { Pressure } from '../../broker/pressure.ts'
import type { ItemKind } from './inbox.ts'
import type { Session } from './session.ts'

type Deps = Readonly<{ limits: Pick<Limits, 'receiveMaximum'>; pressure: Pressure }>

/**
 * Null: not at all. 0: until a message of its own is settled. More: so many milliseconds.
 * iq and presence come behind all messages, so that the answer to an iq proves that what was sent before it is durable.
 */
export function mustWait(session: Session, kind: ItemKind, { limits, pressure }: Deps): number | null {
  const { unsettled } = session
  if (kind === 'nonza') return null
  if (kind !== 'message' && unsettled > 0) return 0
  if (kind === 'other') return null
  if (unsettled >= limits.receiveMaximum || (unsettled > 0 && pressure.isFull())) return 0
  const delayMs = session.quotaDelayMs
  return delayMs > 0 ? delayMs : null
}
