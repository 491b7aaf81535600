// Where passwords of accounts can be read on the way.
import { isLoopback } from './network.ts'
import type { Listening } from './types.ts'

/** XMPP is not among them: it takes no login before TLS. */
const inClear = ['mqtt', 'http']

/** For the log of the start; null: all is well. */
export function warningOf(listening: readonly Listening[]): string | null {
  const open = listening.filter(({ name, bind, port }) => inClear.includes(name) && port !== null && !isLoopback(bind))
  if (open.length === 0) return null
  const places = open.map(({ name, bind, port }) => `${name} on ${bind} port ${port}`)
  return `passwords can travel in clear text: ${places.join(', ')}; use the TLS ports, and switch these off or bind them to this machine`
}
