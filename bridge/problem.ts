// RFC 9457: Problem Details for HTTP APIs  https://www.rfc-editor.org/rfc/rfc9457
import { STATUS_CODES } from 'node:http'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { hasZodFastifySchemaValidationErrors } from 'fastify-type-provider-zod'
import { BrokerError } from '../broker/errors.ts'
import { TransientStoreError } from '../broker/stores.ts'

/** What is wrong with one field: a JSON pointer into the body, or the name of a parameter of the query or a header. */
export type FieldFault = Readonly<
  { detail: string } & ({ pointer: string } | { parameter: string } | { header: string })
>

export type Problem = Readonly<{
  type: string
  title: string
  status: number
  detail: string
  errors?: readonly FieldFault[]
}>

/** A refusal that names fields, or says when to come back. */
export class ProblemError extends BrokerError {
  readonly errors: readonly FieldFault[]
  readonly retryAfterSeconds: number | null

  constructor(
    code: BrokerError['code'],
    detail?: string,
    more: { errors?: readonly FieldFault[]; retryAfterSeconds?: number } = {},
  ) {
    super(code, detail)
    this.errors = more.errors ?? []
    this.retryAfterSeconds = more.retryAfterSeconds ?? null
  }
}

/** RFC 9110 §11.6.1 */
export const challenge = 'Bearer realm="clearbox"'

const problemType = 'application/problem+json'
const defaultRetryAfterSeconds = 5

/** What a client is told of a fault. Nothing of the inside gets out: what we do not know is `internal`. */
export function toProblem(fault: unknown): Problem {
  if (hasZodFastifySchemaValidationErrors(fault)) return toValidationProblem(fault)
  if (fault instanceof BrokerError) return ofCode(fault, fault instanceof ProblemError ? fault.errors : [])
  if (fault instanceof TransientStoreError) return ofCode(new BrokerError('overload'))
  const { statusCode = 500, code = '' } = (fault ?? {}) as { statusCode?: number; code?: string }
  if (statusCode === 413) return ofCode(new BrokerError('too-large'))
  if (code === 'FST_ERR_CTP_INVALID_MEDIA_TYPE') return ofStatus(415, 'The body must be application/json.')
  if (code.startsWith('FST_ERR_CTP_') || code === 'FST_ERR_VALIDATION' || fault instanceof SyntaxError) {
    return ofCode(new BrokerError('bad-payload', 'The body is not a JSON object of the expected form.'))
  }
  if (statusCode >= 400 && statusCode < 500)
    return ofStatus(statusCode, 'The request is not one that this server takes.')
  if (statusCode === 503) return ofCode(new BrokerError('overload'))
  return ofCode(new BrokerError('internal'))
}

function ofCode(error: BrokerError, errors: readonly FieldFault[] = []): Problem {
  return {
    type: `urn:problem-type:clearbox:${error.code}`,
    title: error.title,
    status: error.http,
    detail: error.message,
    ...(errors.length > 0 && { errors }),
  }
}

/** RFC 9457 §4.2.1: nothing more to say than the status. */
export function ofStatus(status: number, detail: string): Problem {
  return { type: 'about:blank', title: STATUS_CODES[status] ?? 'Error', status, detail }
}

/** `keys`: fields that no schema knows, of the object at `instancePath`. */
type Issue = Readonly<{ instancePath: string; message?: string; params?: Readonly<{ keys?: readonly string[] }> }>
type ValidationFault = Error & Readonly<{ validation?: unknown; validationContext?: string | undefined }>

function toValidationProblem(fault: ValidationFault): Problem {
  const issues = fault.validation as readonly Issue[]
  const errors = issues.flatMap(({ instancePath, message = 'invalid', params }) => {
    const path = instancePath.replace(/^\/$/, '')
    if (!params?.keys) return toFieldFault(fault.validationContext, path, message)
    return params.keys.map((key) =>
      toFieldFault(fault.validationContext, `${path}/${escaped(key)}`, 'is not known here'),
    )
  })
  return ofCode(new BrokerError('bad-payload', 'Some fields are not as they must be.'), errors)
}

/** RFC 6901 §3 */
function escaped(key: string): string {
  return key.replaceAll('~', '~0').replaceAll('/', '~1')
}

function toFieldFault(context: string | undefined, path: string, detail: string): FieldFault {
  if (context === 'querystring') return { parameter: path.slice(1), detail }
  if (context === 'headers') return { header: path.slice(1), detail }
  return { pointer: `#${path}`, detail }
}

export function sendProblem(reply: FastifyReply, problem: Problem, retryAfterSeconds?: number | null): FastifyReply {
  if (problem.status === 401 && !reply.hasHeader('www-authenticate')) reply.header('www-authenticate', challenge)
  if (problem.status === 503 || problem.status === 429) {
    reply.header('retry-after', retryAfterSeconds ?? defaultRetryAfterSeconds)
  }
  return reply.code(problem.status).type(problemType).send(JSON.stringify(problem))
}

/** Answers what a route or the framework threw; what is our own fault is given to `report`. */
export function createErrorHandler(report: (fault: unknown, request: FastifyRequest) => void) {
  return (fault: unknown, request: FastifyRequest, reply: FastifyReply): FastifyReply => {
    const problem = toProblem(fault)
    if (problem.status === 500) report(fault, request)
    return sendProblem(reply, problem, retryAfterOf(fault))
  }
}

function retryAfterOf(fault: unknown): number | null {
  if (fault instanceof ProblemError) return fault.retryAfterSeconds
  const retryAfterMs = fault instanceof BrokerError ? fault.retryAfterMs : null
  return retryAfterMs === null ? null : Math.ceil(retryAfterMs / 1000)
}
