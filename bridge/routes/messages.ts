import { z } from 'zod'
import { toAccountName } from '../../broker/account-name.ts'
import { BrokerError } from '../../broker/errors.ts'
import {
  contentSchema,
  draftMessage,
  isEmptyContent,
  maxChatBytes,
  oidSchema,
  sendableKind,
} from '../../broker/message.ts'
import type { Admission, Message, Principal } from '../../broker/types.ts'
import type { App } from '../app.ts'
import { type Bearer, principalOf } from '../bearer.ts'
import { ProblemError } from '../problem.ts'
import { awaitReceipt } from '../receipt.ts'
import { problems } from '../responses.ts'

type Deps = Readonly<{
  admission: Admission
  /** Too much waits for the database (DESIGN §9). */
  pressure: Readonly<{ isFull(): boolean }>
  bearer: Bearer
  domain: string
  receiptTimeoutMs: number
}>

const ignored = z.unknown().describe('set by the server, whatever is given').exactOptional()
const body = z.strictObject({
  ...contentSchema.shape,
  to: z.string().min(1),
  kind: sendableKind.exactOptional(),
  oid: oidSchema.exactOptional(),
  v: z.literal(1).exactOptional(),
  id: ignored,
  seq: ignored,
  from: ignored,
  dev: ignored,
  ts: ignored,
})
const headers = z.object({ 'idempotency-key': oidSchema.exactOptional() })
const answer = z.object({ id: z.string(), ts: z.string() })
const late = 'The message could not be stored in time; it may be stored yet. Repeat it with an Idempotency-Key.'

/** POST /v1/messages: 201 means stored. A repeat with the same Idempotency-Key gets the first answer again; other content, 422. */
export function messages(app: App, { admission, pressure, bearer, domain, receiptTimeoutMs }: Deps): void {
  const schema = {
    tags: ['chat'],
    summary: 'Send a message',
    security: bearer.security,
    body,
    headers,
    response: { 201: answer, ...problems(400, 401, 403, 413, 422, 503) },
  }
  app.post('/v1/messages', { ...bearer.hook, schema }, async (request, reply) => {
    const principal = principalOf(request)
    const message = toMessage(request.body, request.headers['idempotency-key'], principal, domain)
    const delayMs = admission.delayMs(principal.account)
    if (delayMs > 0) throw new ProblemError('quota', undefined, { retryAfterSeconds: Math.ceil(delayMs / 1000) })
    if (pressure.isFull()) throw new ProblemError('overload', undefined, { retryAfterSeconds: 1 })
    const { id, ts } = await awaitReceipt((sink) => admission.admit(message, sink, 0), receiptTimeoutMs, late)
    return reply.code(201).send({ id, ts: new Date(ts).toISOString() })
  })
}

function toMessage(
  given: z.infer<typeof body>,
  keyHeader: string | undefined,
  principal: Principal,
  domain: string,
): Message {
  const { to, kind = 'message', oid } = given
  // Without what is the server's to say (DESIGN §4).
  const content = contentSchema.parse(given)
  const receiver = toAccountName(to, domain)
  if (receiver === null) throw fieldError('#/to', `must be a name, or a name and @${domain}`)
  if (isEmptyContent(content)) throw fieldError('#/text', 'a message needs text, a subject, media or data')
  // The header is a string of RFC 8941, with quotes, in the draft of its specification; most clients send it bare.
  const key = keyHeader?.replace(/^"(.+)"$/, '$1') ?? oid ?? null
  if (oid !== undefined && key !== oid) throw fieldError('#/oid', 'must be the same as Idempotency-Key')
  const from = { id: principal.account, name: principal.name, address: `${principal.name}@${domain}` }
  const message: Message = {
    ...draftMessage({ kind, oid: key, content }, { from, device: null, to: receiver }),
    strictOid: key !== null,
  }
  if (Buffer.byteLength(message.body.text) > maxChatBytes) throw new BrokerError('too-large')
  return message
}

function fieldError(pointer: string, detail: string): ProblemError {
  return new ProblemError('bad-payload', 'Some fields are not as they must be.', { errors: [{ pointer, detail }] })
}
