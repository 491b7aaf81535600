// Whether this node takes messages: asked by /ready, checked once per second.
import type { Pressure } from './pressure.ts'

export type Readiness = Readonly<{
  ready(): Readonly<{ ready: boolean; detail: string }>
  check(): Promise<void>
}>

export function createReadiness({
  pressure,
  ping,
}: Readonly<{ pressure: Pressure; ping: () => Promise<void> }>): Readiness {
  let databaseAnswers = true
  return {
    ready() {
      if (!databaseAnswers) return { ready: false, detail: 'The database does not answer.' }
      if (pressure.isLate()) return { ready: false, detail: 'Messages wait too long for the database.' }
      return { ready: true, detail: 'Messages are taken.' }
    },
    async check() {
      try {
        await ping()
        databaseAnswers = true
      } catch {
        databaseAnswers = false
      }
    },
  }
}
