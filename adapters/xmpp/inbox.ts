// What was read from a peer and is not handled yet: in order, one at a time.

/** `counted`: counts against the account's quota. `nonza`: what is no stanza, and waits for none (XEP-0198). */
export type ItemKind = 'message' | 'counted' | 'nonza' | 'other'

export type Item = Readonly<{ work: () => void | Promise<void>; kind: ItemKind }>

type Options = Readonly<{
  /** The first item must wait; whoever makes it wait calls `pump` later. */
  isBlocked(item: Item): boolean
  /** Nothing more can be done for now. */
  onIdle(): void
  onFault(error: unknown): void
}>

export interface Inbox {
  /** Bounded by the caller, who stops reading while anything is left. */
  add(item: Item): void
  pump(): void
  pumpLater(delayMs: number): void
  readonly length: number
  /** An item's promise is open. */
  readonly isBusy: boolean
  /** Forgets what is left. */
  close(): void
}

export function createInbox({ isBlocked, onIdle, onFault }: Options): Inbox {
  let items: Item[] = []
  let isBusy = false
  let isPumping = false
  let isClosed = false
  let timer: NodeJS.Timeout | null = null

  function pump(): void {
    // An item may be settled while it is being handled.
    if (isPumping || isBusy || isClosed) return
    isPumping = true
    for (let item = items[0]; item !== undefined && !isBusy && !isBlocked(item); item = items[0]) {
      items.shift()
      run(item)
    }
    isPumping = false
    onIdle()
  }

  function run({ work }: Item): void {
    try {
      const pending = work()
      if (pending === undefined) return
      isBusy = true
      void pending.catch(onFault).finally(() => {
        isBusy = false
        pump()
      })
    } catch (error) {
      onFault(error)
    }
  }

  return {
    pump,
    add(item) {
      if (!isClosed) items.push(item)
    },
    pumpLater(delayMs) {
      timer ??= setTimeout(() => {
        timer = null
        pump()
      }, delayMs)
    },
    get length() {
      return items.length
    },
    get isBusy() {
      return isBusy
    },
    close() {
      isClosed = true
      items = []
      if (timer !== null) clearTimeout(timer)
    },
  }
}
