// The broker, from its parts: config → store → log → bus → mqtt → xmpp → http. It stops in reverse.
import { setTimeout as pause } from 'node:timers/promises'
import { createXmpp, type XmppAdapter } from '../adapters/xmpp/index.ts'
import { contentOfXml } from '../adapters/xmpp/map.ts'
import { createHttp } from '../bridge/http.ts'
import type { Upgrade } from '../bridge/upgrade.ts'
import { openStore } from '../storage/index.ts'
import { createAdmission } from './admit.ts'
import { createArchive } from './archive.ts'
import { createAuditTrail } from './audit.ts'
import { ensureAdmin } from './auth/admin.ts'
import { createExternalTokens } from './auth/external-tokens.ts'
import { createLoginGuard } from './auth/login-guard.ts'
import { anonymous, createAuthenticator } from './auth.ts'
import { openCertificates } from './certificates.ts'
import { warningOf } from './clear-text.ts'
import type { Config } from './config.ts'
import { createDeviceNames } from './device-name.ts'
import { createDirectory } from './directory.ts'
import { createEvents } from './events.ts'
import { createFollowers } from './follow.ts'
import { type Limits, toLimits } from './limits.ts'
import { createListeners } from './listeners.ts'
import type { Logger } from './log.ts'
import { createMessageLog } from './message-log.ts'
import { createMetrics } from './metrics.ts'
import { createMqttBorder } from './mqtt/border.ts'
import type { MqttAdapter } from './mqtt/listen.ts'
import { createPolicy } from './policy.ts'
import { createPresence } from './presence.ts'
import { createQuota } from './quota.ts'
import { createReadiness } from './readiness.ts'
import { createReceipts } from './receipts.ts'
import { createRegistrar } from './registrar.ts'
import { createRosters } from './roster.ts'
import { createRounds } from './rounds.ts'
import type { Store } from './stores.ts'
import type { Listening } from './types.ts'
import { readVersion } from './version.ts'
import { createWatermarks } from './watermarks.ts'

export type Broker = Readonly<{
  listening: readonly Listening[]
  /** The generated password of a new `admin` account, to be shown once; null otherwise. */
  adminPassword: string | null
  /** Other rules of plain topics from now on. Resolves when the subscriptions that have lost their right are gone. */
  replaceAcl(acl: Config['acl']): Promise<void>
  /** Clients told, writes flushed, database stopped. */
  stop(): Promise<void>
}>

export type BrokerOptions = Readonly<{ config: Config; logger: Logger; limits?: Limits }>

const KiB = 1024

/** How long a stop waits for what is not committed; without its commit nothing of it was acknowledged. */
const flushMs = 15_000
const hourMs = 3_600_000

/** @throws StoreStartError, and errors whose message is fit for the person who starts it */
export async function startBroker({ config, logger, limits = toLimits(config) }: BrokerOptions): Promise<Broker> {
  const store = await openStore({ config, logger, purpose: 'broker' })
  try {
    return await startOn(store, { config, logger, limits })
  } catch (fault) {
    await store.close()
    throw fault
  }
}

async function startOn(store: Store, { config, logger, limits }: Required<BrokerOptions>): Promise<Broker> {
  const { domain } = config
  const metrics = createMetrics()
  const { counters } = metrics
  const certificates = await openCertificates({ config, logger })
  const listeners = createListeners({
    addresses: config.bind,
    maxConnections: limits.connections,
    certificates,
    logger,
  })
  const audit = createAuditTrail({ store: store.audit, ...config.audit, counters, logger })
  const events = createEvents({ counters, logger: logger.child({ area: 'events' }), audit })
  const guard = createLoginGuard(config.login)
  const { jwt, jwtSecret } = config.auth
  const external = createExternalTokens({ jwt, domain, logger: logger.child({ area: 'auth' }) })
  const auth = await createAuthenticator({ ...store, domain, jwtSecret, external, guard, events, logger })

  const directory = createDirectory(store.accounts, domain)
  const log = createMessageLog({ archive: store.archive, directory, contentOfXml, counters, logger })
  const lastPosition = await store.watermarks.lastPosition()
  const watermarks = createWatermarks({ store: store.watermarks, lastPosition, directory, logger })
  const followers = createFollowers({
    log,
    watermarks,
    positions: store.archive,
    logReaders: limits.logReaders,
    counters,
    logger,
  })
  const quota = createQuota(config.quota)
  const admission = createAdmission({ directory, log, watermarks, quota, live: followers.live, counters })

  const rosters = createRosters({ store: store.rosters, directory, domain })
  const presence = createPresence({ rosters, directory })
  const { delivered } = createReceipts({ rosters, watermarks, logger })

  const shared = { config, limits, listeners, counters, logger, auth, admission, followers, rosters, presence }
  const policy = createPolicy(config)
  // Listeners that do not let them in leave it out.
  const isGuestFree = config.mqtt.anonymous || config.listeners.some((each) => each.anonymous)
  const guest = isGuestFree ? anonymous : null
  const publicResource = createDeviceNames(await store.secrets.getOrCreate('device-names', 32))
  const brokerId = (await store.secrets.getOrCreate('broker-id', 16)).toString('hex')
  const devices = { delivered, directory, publicResource, brokerId, anonymous: guest }
  const mqtt = await createMqttBorder({ ...shared, ...devices, store, log, policy })
  const { pressure, publisher } = mqtt
  auth.onDeleted((deleted) => {
    directory.forget(deleted.account)
    rosters.forget(deleted)
    mqtt.sessions.endOf(deleted.account)
  })
  const archive = createArchive({ queries: store.archiveQueries, log, directory })
  const registrar = createRegistrar({ accounts: store.accounts, domain, events, logger })
  const xmpp = createXmpp({
    ...shared,
    pressure,
    authenticator: auth,
    archive,
    registrar,
    events,
    secureContext: certificates.shared.secureContext,
    publicResource,
  })
  const readiness = createReadiness({ pressure, ping: store.ping })
  const http = createHttp({
    ...shared,
    upgrades: upgradesTo(mqtt.adapter, xmpp, limits),
    pressure,
    archive,
    events,
    audit: store.audit,
    publisher,
    health: readiness,
    version: readVersion(),
    metrics,
  })

  const rounds = createRounds(
    [
      { name: 'sessions', everyMs: 2000, run: mqtt.sessions.save },
      { name: 'positions', everyMs: 2000, run: followers.save },
      { name: 'expiry', everyMs: 1000, run: async () => mqtt.sessions.sweep() },
      { name: 'certificate', everyMs: 2000, run: certificates.refresh },
      { name: 'readiness', everyMs: 1000, run: readiness.check },
      { name: 'quota', everyMs: 60_000, run: async () => quota.sweep() },
      { name: 'gate', everyMs: 60_000, run: async () => mqtt.sweepGate() },
      { name: 'tokens', everyMs: 1000, run: async () => auth.endExpired() },
      { name: 'logins', everyMs: hourMs, run: auth.sweep },
      { name: 'audit', everyMs: 1000, run: audit.flush },
      { name: 'retention', everyMs: hourMs, run: audit.prune },
      { name: 'prune', everyMs: hourMs, run: store.prune },
      { name: 'sys', everyMs: config.mqtt.sysSeconds * 1000, run: async () => mqtt.publishSys() },
      { name: 'retained', everyMs: hourMs, run: async () => mqtt.pruneRetained() },
    ],
    logger,
  )
  mqtt.publishSys()
  const borders = [mqtt.adapter, xmpp, http]

  function replaceAcl(acl: Config['acl']): Promise<void> {
    policy.replace(acl)
    return mqtt.rulesChanged()
  }

  async function stop(): Promise<void> {
    await mqtt.links.stop()
    for (const border of borders.toReversed()) await border.stop()
    await Promise.race([
      Promise.all([log.batcher.drained(), watermarks.batcher.drained(), mqtt.drained()]),
      pause(flushMs, undefined, { ref: false }),
    ])
    log.batcher.abandon()
    watermarks.batcher.abandon()
    mqtt.abandon()
    await rounds.stop()
    await auth.stop()
    await store.close()
  }

  try {
    const listening: Listening[] = []
    for (const border of borders) listening.push(...(await border.start()))
    // Last: a start that fails would take the only copy of the password with it.
    const adminPassword = await ensureAdmin(store.accounts, config.admin.password)
    mqtt.links.start()
    const warning = warningOf(listening)
    if (warning !== null) logger.warn(warning)
    return { listening, adminPassword, replaceAcl, stop }
  } catch (fault) {
    for (const border of borders) await border.stop()
    await rounds.stop()
    await auth.stop()
    throw fault
  }
}

/** Over HTTP's ports: MQTT 5 §6, RFC 7395. */
function upgradesTo(
  mqtt: MqttAdapter,
  xmpp: XmppAdapter,
  { maxPacketBytes, connectBytes }: Limits,
): readonly Upgrade[] {
  return [
    {
      path: '/mqtt',
      subprotocol: 'mqtt',
      frames: 'binary',
      maxMessageBytes: maxPacketBytes + 64 * KiB,
      maxStrangerBytes: connectBytes + 4 * KiB,
      onSocket: (socket, peer) => mqtt.take(socket, peer.address),
    },
    {
      path: '/xmpp-websocket',
      subprotocol: 'xmpp',
      frames: 'text',
      maxMessageBytes: 256 * KiB,
      maxStrangerBytes: 32 * KiB,
      onSocket: xmpp.takeWebSocket,
    },
  ]
}
