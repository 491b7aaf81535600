// XEP-0198 §5: how many sessions may wait for a stream, and which of them end.
import { describe, expect, it } from 'vitest'
import { createHibernation } from '../../adapters/xmpp/hibernation.ts'
import type { Principal } from '../../broker/types.ts'

type Sleeper = { principal: Principal; acks: { chars: number }; detach(): void }

function sleeper(account: number, chars = 0): Sleeper {
  const principal: Principal = { account, name: `n${account}`, role: 'user', plainTopics: 'none', epoch: 0 }
  return { principal, acks: { chars }, detach: () => undefined }
}

function someHibernation(limits?: Readonly<{ sessions: number; chars: number }>) {
  const ended: Sleeper[] = []
  const watched = new Set<() => void>()
  const hibernation = createHibernation<Sleeper>({
    authenticator: {
      onEnd(_principal, _end) {
        const undo = () => void watched.delete(undo)
        watched.add(undo)
        return undo
      },
    },
    close(session) {
      hibernation.forget(session)
      ended.push(session)
    },
    ...(limits && { limits }),
  })
  function sleep(session: Sleeper): void {
    hibernation.allow(session, 300)
    hibernation.sleep(session)
  }
  return { hibernation, ended, watched, sleep }
}

describe('sessions that sleep', () => {
  it('are ten of one account; the oldest of them ends, whatever others do', () => {
    const { ended, sleep } = someHibernation()
    const own = Array.from({ length: 12 }, () => sleeper(1))
    for (const session of own) {
      sleep(sleeper(2 + own.indexOf(session)))
      sleep(session)
    }
    expect(ended).toEqual(own.slice(0, 2))
  })

  it('are so many on a node; the oldest of all ends', () => {
    const { ended, watched, hibernation, sleep } = someHibernation({ sessions: 3, chars: 100 })
    const all = Array.from({ length: 5 }, (_, i) => sleeper(i))
    for (const session of all) sleep(session)
    expect(ended).toEqual(all.slice(0, 2))
    expect(watched.size).toBe(3)
    hibernation.end()
    expect([ended.length, watched.size]).toEqual([5, 0])
  })

  it('hold so much together, also when it came while they slept', () => {
    const { ended, hibernation, sleep } = someHibernation({ sessions: 10, chars: 100 })
    const all = Array.from({ length: 3 }, (_, i) => sleeper(i, 30))
    for (const session of all) sleep(session)
    hibernation.sweep(performance.now())
    expect(ended).toEqual([])
    for (const { acks } of all.slice(1)) acks.chars = 60
    hibernation.sweep(performance.now())
    expect(ended).toEqual(all.slice(0, 2))
  })

  it('are not those that woke', () => {
    const { ended, hibernation, sleep } = someHibernation({ sessions: 1, chars: 100 })
    const [first, second] = [sleeper(1), sleeper(1)]
    sleep(first)
    hibernation.wake(first)
    sleep(second)
    hibernation.sweep(performance.now() + 299_000)
    expect(ended).toEqual([])
    hibernation.sweep(performance.now() + 301_000)
    expect(ended).toEqual([second])
  })

  it('fall asleep twenty thousand at once without a wait that anyone would feel', () => {
    const { sleep } = someHibernation()
    const before = performance.now()
    for (let i = 0; i < 20_000; i++) sleep(sleeper(i))
    expect(performance.now() - before).toBeLessThan(1000)
  })
})
