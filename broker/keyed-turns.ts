// Work on the same things waits for each other, in order; other work does not.

export type KeyedTurns<Key> = Readonly<{
  /** Runs the work once all earlier work on any of these keys is over, however it ended. */
  run<Result>(keys: readonly Key[], work: () => Promise<Result>): Promise<Result>
}>

export function createKeyedTurns<Key>(): KeyedTurns<Key> {
  const last = new Map<Key, Promise<unknown>>()
  return {
    run(keys, work) {
      const done = Promise.all(keys.map((key) => last.get(key) ?? nothing)).then(work)
      const over = done.then(ignore, ignore)
      for (const key of keys) last.set(key, over)
      void over.then(() => {
        for (const key of keys) if (last.get(key) === over) last.delete(key)
      })
      return done
    },
  }
}

const nothing = Promise.resolve()

function ignore(): void {}
