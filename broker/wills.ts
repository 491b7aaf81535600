// When a session's Will is sent, and that it stays owed until it was. MQTT 5 §3.1.2.5, §3.1.3.2.2; decision 0007
import type { Logger } from './log.ts'
import type { Session } from './session.ts'
import type { SessionStore, StoredWill } from './stores.ts'

/** What the MQTT border knows of Wills. */
export type WillPublisher = Readonly<{
  /** Resolves when the Will is durable, or policy has refused it. Publishes before it returns if it can. @throws for a passing reason */
  publish(session: Session, will: StoredWill): Promise<void>
  /** It says that the device is gone, so the device is here until then. */
  endsDevice(session: Session, will: StoredWill): boolean
}>

export type Wills = Readonly<{
  /** The connection is lost and the session lives on. */
  lost(session: Session): void
  /** The client took it back with DISCONNECT. */
  discard(session: Session): void
  /** Once per second. */
  sendWhenDue(session: Session): void
  /** Waits for the one that is on its way. False: it could not be sent, and is owed again. */
  sent(session: Session): Promise<boolean>
  /** The session ends. False: it could not be sent, and must stay in the store. */
  end(session: Session): Promise<boolean>
  /** Removes from the store what was sent or taken back and is still there. */
  save(): Promise<void>
  /** Resolves when all that are on their way are settled. */
  drained(): Promise<void>
}>

export type WillsDeps = Readonly<{
  store: Pick<SessionStore, 'removeWills'>
  publisher: WillPublisher
  logger: Logger
}>

const retryMs = 5000

export function createWills({ store, publisher, logger }: WillsDeps): Wills {
  const onTheirWay = new Map<Session, Promise<boolean>>()
  const settled = createSettled(store)

  async function send(session: Session): Promise<boolean> {
    const { will, id, epoch } = session
    session.will = null
    session.willDueAt = null
    if (will === null) return true
    try {
      await publisher.publish(session, will)
    } catch (fault) {
      logger.warn({ err: fault, clientId: session.clientId }, 'a Will could not be sent; trying again')
      oweAgain(session, will)
      return false
    }
    settle(id, epoch)
    return true
  }

  /** At once: after a `kill -9` what the store still has is sent. */
  function settle(id: number, epoch: number): void {
    if (id === 0) return
    settled.add(id, epoch)
    settled.save().catch((fault: unknown) => logger.warn({ err: fault }, 'a settled Will stays in the store for now'))
  }

  /** Unless the client has come back meanwhile. */
  function oweAgain(session: Session, will: StoredWill): void {
    if (session.owner !== null) return
    session.will = will
    session.willDueAt = Date.now() + retryMs
  }

  function start(session: Session): Promise<boolean> {
    const sending = send(session)
    onTheirWay.set(session, sending)
    void sending.finally(() => {
      if (onTheirWay.get(session) === sending) onTheirWay.delete(session)
    })
    return sending
  }

  return {
    lost(session) {
      const { will } = session
      if (will !== null) session.willDueAt = Date.now() + will.delay * 1000
      const isHeldBack = will !== null && will.delay > 0
      if (will !== null && !isHeldBack) void start(session)
      if (!(isHeldBack && publisher.endsDevice(session, will))) endDevice(session)
    },
    discard(session) {
      const { will, id, epoch } = session
      session.will = null
      if (will === null) return
      settle(id, epoch)
    },
    sendWhenDue(session) {
      if (session.owner !== null || session.willDueAt === null || session.willDueAt > Date.now()) return
      void start(session)
      endDevice(session)
    },
    sent: async (session) => (await onTheirWay.get(session)) ?? true,
    end(session) {
      const sending = start(session)
      endDevice(session)
      return sending
    },
    save: settled.save,
    async drained() {
      await Promise.all(onTheirWay.values())
    },
  }
}

/** Wills of the store that are not owed any more. */
function createSettled(store: WillsDeps['store']) {
  /** Session → epoch of the Will. */
  let waiting = new Map<number, number>()
  let saving: Promise<void> | null = null

  async function removeAll(): Promise<void> {
    while (waiting.size > 0) {
      const removing = waiting
      waiting = new Map()
      try {
        await store.removeWills(Array.from(removing, ([id, epoch]) => ({ id, epoch })))
      } catch (fault) {
        waiting = new Map([...removing, ...waiting])
        throw fault
      }
    }
  }

  return {
    add(id: number, epoch: number): void {
      waiting.set(id, epoch)
    },
    save(): Promise<void> {
      saving ??= removeAll().finally(() => {
        saving = null
      })
      return saving
    },
  }
}

/** Without last words, unless the Will has spoken them just now. */
function endDevice(session: Session): void {
  session.device?.end('')
  session.device = null
}
