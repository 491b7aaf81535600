import { z } from 'zod'
import { BrokerError } from '../../broker/errors.ts'
import { word } from '../../broker/message.ts'
import type { PlainDraft, PlainPublisher } from '../../broker/types.ts'
import type { App } from '../app.ts'
import { type Bearer, loginOf } from '../bearer.ts'
import { ProblemError } from '../problem.ts'
import { awaitReceipt } from '../receipt.ts'
import { problems } from '../responses.ts'

type Deps = Readonly<{
  publisher: PlainPublisher
  /** Too much waits for the database (DESIGN §9). */
  pressure: Readonly<{ isFull(): boolean }>
  bearer: Bearer
  receiptTimeoutMs: number
}>

/** A payload of the largest size in base64. */
const maxBodyBytes = 1.5 * 1024 * 1024
const maxTopicBytes = 65_535
/** Half of a surrogate pair has no UTF-8. */
const unicode = z.string().refine((value) => !/\p{Cs}/u.test(value), 'must be well-formed Unicode')
/** [MQTT-3.3.2-2], [MQTT-4.7.3-1], [MQTT-4.7.3-2], [MQTT-4.7.3-3] */
const topicName = unicode
  .min(1)
  .refine((value) => !/[+#\0]/.test(value), 'must be without wildcards and U+0000')
  .refine((value) => Buffer.byteLength(value) <= maxTopicBytes, `must have at most ${maxTopicBytes} bytes`)

const body = z.strictObject({
  topic: topicName,
  payload: unicode.describe('text').exactOptional(),
  payloadBase64: z.base64().describe('bytes, instead of a text').exactOptional(),
  qos: z.union([z.literal(0), z.literal(1), z.literal(2)]).default(1),
  retain: z.boolean().default(false),
  contentType: word.exactOptional(),
  responseTopic: topicName.max(1024).exactOptional(), // [MQTT-3.3.2-14]
  correlationDataBase64: z.base64().max(1024).exactOptional(),
  expirySeconds: z.int().min(0).max(0xffffffff).exactOptional(),
  userProperties: z
    .array(z.strictObject({ name: word, value: word }))
    .max(32)
    .exactOptional(),
})
const answer = z.object({ durable: z.boolean() })

/**
 * POST /v1/publish, on plain topics: 200 means what a PUBACK means (QoS 1 and 2), 202 that it was routed (QoS 0). MQTT 5's
 * properties have their names in JSON.
 */
export function publish(app: App, { publisher, pressure, bearer, receiptTimeoutMs }: Deps): void {
  const schema = {
    tags: ['topics'],
    summary: 'Publish on a plain topic',
    security: bearer.security,
    body,
    response: { 200: answer, 202: answer, ...problems(400, 401, 403, 413, 503) },
  }
  app.post('/v1/publish', { ...bearer.hook, schema, bodyLimit: maxBodyBytes }, async (request, reply) => {
    const draft = toDraft(request.body)
    const { principal, tokenRules } = loginOf(request)
    const actor = { principal, clientId: null, tokenRules }
    if (draft.qos === 0) {
      const fault = publisher.publish(actor, draft, { settle: () => undefined }, -1)
      if (fault) throw fault
      return reply.code(202).send({ durable: false })
    }
    if (pressure.isFull()) throw new ProblemError('overload', undefined, { retryAfterSeconds: 1 })
    const start: Parameters<typeof awaitReceipt>[0] = (sink) => {
      const fault = publisher.publish(actor, draft, sink, 0)
      if (fault) sink.settle(0, fault)
    }
    await awaitReceipt(start, receiptTimeoutMs, 'The publication could not be stored in time; it may be stored yet.')
    return reply.code(200).send({ durable: true })
  })
}

function toDraft(given: z.infer<typeof body>): PlainDraft {
  const { topic, payload, payloadBase64, qos, retain, contentType, responseTopic, expirySeconds } = given
  if ((payload === undefined) === (payloadBase64 === undefined)) {
    throw new BrokerError('bad-payload', 'Either payload or payloadBase64 is needed.')
  }
  const { correlationDataBase64, userProperties } = given
  return {
    topic,
    payload: payload === undefined ? Buffer.from(payloadBase64 ?? '', 'base64') : Buffer.from(payload),
    qos,
    retain,
    properties: {
      ...(contentType !== undefined && { contentType }),
      ...(responseTopic !== undefined && { responseTopic }),
      ...(correlationDataBase64 !== undefined && { correlationData: Buffer.from(correlationDataBase64, 'base64') }),
      ...(expirySeconds !== undefined && { messageExpiryInterval: expirySeconds }),
      ...(userProperties && { userProperties: userProperties.map(({ name, value }) => [name, value] as const) }),
    },
  }
}
