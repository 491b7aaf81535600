// Links to other MQTT brokers: connected, relayed, and connected again (decision 0017).
import { setTimeout as pause } from 'node:timers/promises'
import type { LinkConfig } from '../link-config.ts'
import type { Logger } from '../log.ts'
import type { Principal } from '../types.ts'
import type { Host } from './host.ts'
import { forgetReceived, openHere, sessionHere } from './link-here.ts'
import { createLinkRelay, type LinkRelay, limitsOf } from './link-relay.ts'
import { keepAliveSeconds, openThere, refusalOf, type There } from './link-there.ts'
import { createLinkTopics } from './link-topics.ts'
import type { LinkWire } from './link-wire.ts'

export type Links = Readonly<{
  start(): void
  /** Both sides are told; resolves when nothing of it runs any more. */
  stop(): Promise<void>
}>

type Deps = Readonly<{
  links: readonly LinkConfig[]
  host: Host
  /** Stays the same over restarts, and differs from all other brokers'. */
  brokerId: string
  /** Null: there is no such account. */
  principalOf: (account: string) => Promise<Principal | null>
  /** Retained below `$SYS/broker/`. */
  say: (topic: string, value: string) => void
}>

const [firstWaitMs, longestWaitMs] = [1000, 60_000]
const unacceptableVersion = 1

export function createLinks(deps: Deps): Links {
  const stopping = new AbortController()
  let running: readonly Promise<void>[] = []
  return {
    start() {
      running = deps.links.map((link) => keepUp(createLink(link, deps), link, deps, stopping.signal))
    },
    async stop() {
      stopping.abort()
      await Promise.all(running)
    },
  }
}

/** Never throws. */
async function keepUp(link: Link, { name }: LinkConfig, deps: Deps, stopping: AbortSignal): Promise<void> {
  const topic = `connection/${name}/state`
  const logger = deps.host.logger.child({ link: name })
  let waitMs = firstWaitMs
  deps.say(topic, '0')
  while (!stopping.aborted) {
    try {
      await link.run(stopping, () => {
        deps.say(topic, '1')
        logger.info('the link is up')
        waitMs = firstWaitMs
      })
      logger.info('the link is down')
    } catch (err) {
      logger.warn({ err, nextTryMs: waitMs }, 'the link could not be brought up')
    }
    deps.say(topic, '0')
    // Not all at once after an outage.
    const jitter = 0.5 + Math.random() / 2
    await pause(waitMs * jitter, undefined, { signal: stopping, ref: false }).catch(() => undefined)
    waitMs = Math.min(waitMs * 2, longestWaitMs)
  }
}

type Here = Parameters<typeof openHere>[0]

type Link = Readonly<{
  /** From connecting to the end of the connection. @throws when it did not come up */
  run(stopping: AbortSignal, onUp: () => void): Promise<void>
}>

function createLink(link: LinkConfig, { host, brokerId, principalOf }: Deps): Link {
  const topics = createLinkTopics(link.topics)
  const remoteVersion = link.protocolVersion ?? 5
  const clientIdHere = `link-${link.name}`
  const clientId = link.clientId ?? `clearbox-${brokerId.slice(0, 12)}-${link.name}`
  const maxPacketBytes = host.limits.maxPacketBytes
  let isBridge = remoteVersion === 4
  /** The session here is new: what the one there remembers of an older one is void. */
  let isNew = false

  async function connectThere(clean: boolean, stopping: AbortSignal): Promise<There> {
    const there = await openThere(link, { clientId, clean, isBridge, maxPacketBytes, stopping })
    const refusal = refusalOf(there.connack)
    if (refusal === 0) return there
    there.wire.stream.destroy()
    if (refusal !== unacceptableVersion || !isBridge) throw new Error(`Refused with 0x${refusal.toString(16)}`)
    if (topics.isRound) throw new Error('The other side knows no bridges of MQTT 3.1.1: it would send everything back')
    isBridge = false
    return connectThere(clean, stopping)
  }

  async function openBoth(here: Here, stopping: AbortSignal): Promise<Readonly<{ there: There; local: LinkWire }>> {
    if (sessionHere(here) === null) {
      isNew = true
      const local = await openHere(here, {})
      local.close()
    }
    // A clean session of 3.1.1 does not stay: that connection only removes the old one.
    if (isNew && remoteVersion === 4) (await connectThere(true, stopping)).wire.close()
    const there = await connectThere(isNew && remoteVersion === 5, stopping)
    let local: LinkWire | null = null
    try {
      local = await openHere(here, limitsOf(there.connack))
      const session = sessionHere(here)
      if (!there.connack.sessionPresent && session !== null) await forgetReceived(local, session)
      isNew = false
      return { there, local }
    } catch (fault) {
      there.wire.close()
      local?.stream.destroy()
      throw fault
    }
  }

  return {
    async run(stopping, onUp) {
      const principal = await principalOf(link.account ?? 'admin')
      if (principal === null) throw new Error(`There is no account ${link.account ?? 'admin'} for the link`)
      const { there, local } = await openBoth(
        { host, principal, clientId: clientIdHere, filters: topics.local },
        stopping,
      )
      const remote = there.wire
      const { counters } = host
      const relay = createLinkRelay({
        local,
        remote,
        topics,
        brokerId,
        remoteVersion,
        topicBytes: host.limits.topicBytes,
        counters,
      })
      const ended = endOf([local, remote], stopping)
      const stopPings = keepAlive(there)
      carry(relay, { local, remote }, () => tellRefused(host.logger, link))
      subscribeThere(remote, topics.remote)
      remote.stream.resume()
      onUp()
      await ended
      stopPings()
    },
  }
}

function carry(relay: LinkRelay, { local, remote }: Record<'local' | 'remote', LinkWire>, onRefused: () => void): void {
  local.receive(relay.fromLocal)
  remote.receive((packet) => {
    if (packet.cmd !== 'suback') relay.fromRemote(packet)
    else if (packet.granted.some((code) => Number(code) >= 0x80)) onRefused()
  })
}

function tellRefused(logger: Logger, { name }: LinkConfig): void {
  logger.warn({ link: name }, 'the other side refuses some of the topics of the link')
}

/** MQTT 5: without what came by this link, and with the retain flag as it was published. */
function subscribeThere(remote: LinkWire, filters: ReturnType<typeof createLinkTopics>['remote']): void {
  if (filters.length === 0) return
  const subscriptions = filters.map((filter) => ({ ...filter, nl: true, rap: true, rh: 1 }))
  remote.write({ cmd: 'subscribe', messageId: 0xffff, subscriptions })
}

/** One side does not live without the other: what it sends would be lost. */
async function endOf(wires: readonly LinkWire[], stopping: AbortSignal): Promise<void> {
  const closeAll = (): void => {
    for (const wire of wires) wire.close()
  }
  stopping.addEventListener('abort', closeAll)
  if (stopping.aborted) closeAll()
  const closed = wires.map(
    // It may have ended while the other side was being opened.
    ({ stream }) => new Promise<void>((resolve) => (stream.destroyed ? resolve() : stream.once('close', resolve))),
  )
  await Promise.race(closed)
  stopping.removeEventListener('abort', closeAll)
  closeAll()
  await Promise.race([Promise.all(closed), pause(firstWaitMs, undefined, { ref: false })])
  for (const { stream } of wires) stream.destroy()
}

/** MQTT 5 §3.1.2.10; the server may ask for less (§3.2.2.3.14). */
function keepAlive({ wire, connack }: There): () => void {
  const seconds = connack.properties?.serverKeepAlive || keepAliveSeconds
  let isAlive = true
  wire.stream.on('data', () => {
    isAlive = true
  })
  const timer = setInterval(() => {
    if (!isAlive) wire.stream.destroy()
    isAlive = wire.stream.isPaused()
    wire.write({ cmd: 'pingreq' })
  }, seconds * 500)
  timer.unref()
  return () => clearInterval(timer)
}
