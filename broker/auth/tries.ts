// The guard and the events round each login, whatever its mechanism.
import { toAccountName } from '../account-name.ts'
import type { Events } from '../happening.ts'
import type { Origin, Principal } from '../types.ts'
import type { LoginGuard } from './login-guard.ts'
import type { TokenMethod } from './token-check.ts'

type Method = 'password' | 'scram' | TokenMethod

type Deps = Readonly<{ guard: LoginGuard; events: Events; domain: string }>

export function createTries({ guard, events, domain }: Deps) {
  const nameOf = (username: string) => toAccountName(username, domain)
  return {
    demandTry: (username: string, { address }: Origin) => guard.demand(address, nameOf(username) ?? ''),
    tried(username: string, origin: Origin, principal: Principal | null, method: Method = 'scram'): void {
      if (principal) {
        const { account, name } = principal
        guard.succeeded(origin.address, name)
        events.record({ action: 'login.succeeded', ...origin, account, name, detail: { method } })
        return
      }
      const name = nameOf(username)
      events.record({ action: 'login.failed', ...origin, name })
      if (guard.failed(origin.address, name ?? '')) events.record({ action: 'login.held', ...origin, name })
    },
    /** A token that was good once is no guess: whoever comes back with it does not have to wait. */
    refused(username: string, origin: Origin): null {
      events.record({ action: 'login.failed', ...origin, name: nameOf(username) })
      return null
    },
  }
}

export type Tries = ReturnType<typeof createTries>
