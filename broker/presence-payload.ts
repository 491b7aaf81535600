// Presence as JSON: what a device says of itself, and what its followers are told. Pure.
import { z } from 'zod'
import type { Device, Show, Status } from './contacts.ts'
import { BrokerError } from './errors.ts'
import type { Party } from './types.ts'

const shows = ['chat', 'available', 'away', 'xa', 'dnd', 'offline'] as const satisfies readonly Show[]
const maxPayloadBytes = 8192

const schema = z.object({ show: z.enum(shows).default('available'), status: z.string().max(1024).default('') })

const wanted = `One of ${shows.join(', ')}, or {"show":"away","status":"at most 1,024 characters"}.`

/** `{"show":"away","status":"…"}`, or one of the words alone. */
export function readPresence(payload: Buffer): Pick<Device, 'show' | 'status'> | BrokerError {
  const refused = new BrokerError('bad-payload', wanted)
  if (payload.length > maxPayloadBytes) return refused
  const text = payload.toString('utf8').trim()
  const show = shows.find((word) => word === text)
  if (show !== undefined) return { show, status: '' }
  const read = schema.safeParse(parsed(text))
  return read.success ? read.data : refused
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

/** `ts` is absent when nobody knows since when it is so. */
export function presenceJson({ address }: Pick<Party, 'address'>, { show, status, since }: Status): string {
  const ts = since > 0 ? { ts: new Date(since).toISOString() } : {}
  return JSON.stringify({ v: 1, kind: 'presence', from: address, show, status, ...ts })
}
