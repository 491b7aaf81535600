import { z } from 'zod'
import type { App } from '../app.ts'
import { ProblemError } from '../problem.ts'
import { problems } from '../responses.ts'

export interface Health {
  /** `detail` says in a sentence what is missing; it is shown to anyone. */
  ready(): Readonly<{ ready: boolean; detail: string }>
}

/** GET /health: the process answers. GET /ready: it takes messages. */
export function health(app: App, deps: Readonly<{ health: Health }>): void {
  const config = { rateLimit: false }
  const schema = { tags: ['server'], response: { 200: z.object({ status: z.string() }) } }
  app.get('/health', { config, schema }, async () => ({ status: 'ok' }))
  const readySchema = { ...schema, response: { ...schema.response, ...problems(503) } }
  app.get('/ready', { config, schema: readySchema }, async () => {
    const { ready, detail } = deps.health.ready()
    if (!ready) throw new ProblemError('overload', detail, { retryAfterSeconds: 1 })
    return { status: 'ready' }
  })
}
