// What routes say they answer, for the validating serializer and for the API's description.
import { STATUS_CODES } from 'node:http'
import { z } from 'zod'

const fieldFault = z.object({
  detail: z.string(),
  pointer: z.string().describe('JSON pointer into the body').exactOptional(),
  parameter: z.string().describe('name in the query').exactOptional(),
  header: z.string().exactOptional(),
})

/** RFC 9457 §3.1 */
const problem = z.object({
  type: z.string(),
  title: z.string(),
  status: z.int(),
  detail: z.string(),
  errors: z.array(fieldFault).exactOptional(),
})

type Status = 400 | 401 | 403 | 404 | 413 | 422 | 503

/** Problems that a route may answer with; 429 and 500 any may. */
export function problems(...statuses: readonly Status[]) {
  return Object.fromEntries(
    [...statuses, 429, 500].map((status) => [
      status,
      { description: STATUS_CODES[status] ?? '', content: { 'application/problem+json': { schema: problem } } },
    ]),
  )
}
