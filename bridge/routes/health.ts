import type { App } from '../app.ts'
import { ProblemError } from '../problem.ts'

export interface Health {
  /** `detail` says in a sentence what is missing; it is shown to anyone. */
  ready(): Readonly<{ ready: boolean; detail: string }>
}

/** GET /health: the process answers. GET /ready: it takes messages. */
export function health(app: App, deps: Readonly<{ health: Health }>): void {
  app.get('/health', async () => ({ status: 'ok' }))
  app.get('/ready', async () => {
    const { ready, detail } = deps.health.ready()
    if (!ready) throw new ProblemError('overload', detail, { retryAfterSeconds: 1 })
    return { status: 'ready' }
  })
}
