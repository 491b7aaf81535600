// The REST routes, in the order of their description.
import type { App } from '../app.ts'
import { audit } from './audit.ts'
import { health } from './health.ts'
import { history } from './history.ts'
import { logins } from './logins.ts'
import { messages } from './messages.ts'
import { metrics } from './metrics.ts'
import { publish } from './publish.ts'
import { status } from './status.ts'

const routes = [logins, messages, history, publish, status, audit, health, metrics] as const

/** What they need together. */
export type RouteDeps = (typeof routes)[number] extends (app: App, deps: infer Deps) => void ? Deps : never

export function addRoutes(app: App, deps: RouteDeps): void {
  for (const add of routes) add(app, deps)
}
