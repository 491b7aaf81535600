// What a PUBLISH or a Will says at a door (DESIGN §2), as a chat message.
import { BrokerError } from '../errors.ts'
import { draftMessage, oidSchema, readDoorPayload } from '../message.ts'
import type { Message } from '../types.ts'
import type { Properties } from './codec/properties.ts'

/** The payload is kept, so it must be the caller's own. A refusal is a BrokerError `bad-payload` or `too-large`. */
export function readDoor(
  payload: Buffer,
  properties: Properties,
  end: Pick<Message, 'from' | 'device' | 'to'>,
): Message | BrokerError {
  const draft = readDoorPayload(payload, properties.contentType ?? null)
  if (draft instanceof BrokerError) return draft
  const oid = draft.oid ?? lastUserProperty(properties.userProperties, 'cb-oid')
  if (oid !== null && !oidSchema.safeParse(oid).success) {
    return new BrokerError('bad-payload', 'cb-oid has 1 to 1,024 characters.')
  }
  const { messageExpiryInterval: ttl } = properties
  const content = ttl === undefined || ttl === 0 ? draft.content : { ...draft.content, ttl }
  return draftMessage({ ...draft, oid, content }, end)
}

function lastUserProperty(properties: readonly (readonly [string, string])[] | undefined, name: string): string | null {
  return properties?.findLast(([key]) => key === name)?.[1] ?? null
}
