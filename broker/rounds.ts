// Work that comes round: writing behind, sweeping. One timer each; a round that fails is logged and comes again.
import type { Logger } from './log.ts'

export type Round = Readonly<{ name: string; everyMs: number; run: () => Promise<void> }>

export type Rounds = Readonly<{
  /** Stops the timers and runs each round once more, in order. */
  stop(): Promise<void>
}>

export function createRounds(rounds: readonly Round[], logger: Logger): Rounds {
  const running = new Map<Round, Promise<void>>()

  async function runLogged({ name, run }: Round): Promise<void> {
    try {
      await run()
    } catch (fault) {
      logger.warn({ err: fault, round: name }, 'a round failed; it comes again')
    }
  }

  function start(round: Round): void {
    if (running.has(round)) return
    const done = runLogged(round).finally(() => running.delete(round))
    running.set(round, done)
  }

  const timers = rounds.map((round) => setInterval(() => start(round), round.everyMs).unref())
  return {
    async stop() {
      for (const timer of timers) clearInterval(timer)
      await Promise.all(running.values())
      for (const round of rounds) await runLogged(round)
    },
  }
}
