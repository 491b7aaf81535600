// The chat side of the broker from its real parts, on a scratch store: what XMPP needs and nothing else.
import { createXmpp } from '../../adapters/xmpp/index.ts'
import { contentOfXml } from '../../adapters/xmpp/map.ts'
import { createAdmission } from '../../broker/admit.ts'
import { makeVerifiers } from '../../broker/auth/scram.ts'
import { createAuthenticator, type RunningAuthenticator } from '../../broker/auth.ts'
import { loadSecureContext } from '../../broker/certificate.ts'
import { createDeviceNames } from '../../broker/device-name.ts'
import { createDirectory } from '../../broker/directory.ts'
import { createFollowers, type FollowerHub } from '../../broker/follow.ts'
import { defaultLimits, type Limits } from '../../broker/limits.ts'
import { createLogger } from '../../broker/log.ts'
import { createMessageLog, type MessageLog } from '../../broker/message-log.ts'
import { type Counters, createMetrics } from '../../broker/metrics.ts'
import { createQuota } from '../../broker/quota.ts'
import type { Store } from '../../broker/stores.ts'
import type { Adapter, Admission, Party } from '../../broker/types.ts'
import { openScratchStore } from '../helpers/store.ts'

export const domain = 'localhost'
export const password = 'secret'

export type ChatServer = Readonly<{
  port: number
  store: Store
  auth: RunningAuthenticator
  admission: Admission
  followers: FollowerHub
  log: MessageLog
  counters: Counters
  publicResource: (device: string) => string
  /** A new account whose name begins with `name`; its password is `password`. */
  createAccount(name: string): Promise<Party>
  stopXmpp(): Promise<void>
  close(): Promise<void>
}>

export async function startChatServer(limits: Partial<Limits> = {}): Promise<ChatServer> {
  const { store, dataDir, close } = await openScratchStore()
  const logger = createLogger('silent')
  const { counters } = createMetrics()
  const auth = await createAuthenticator({ ...store, domain, jwtSecret: null, counters, logger })
  const directory = createDirectory(store.accounts, domain)
  const log = createMessageLog({ archive: store.archive, directory, contentOfXml, logger })
  const followers = createFollowers({ log, positions: store.archive, logReaders: 32, logger })
  const quota = createQuota({ perSecond: 10_000, burst: 10_000 })
  const admission = createAdmission({ directory, log, quota, live: followers.live, counters })
  const { secureContext } = await loadSecureContext({ tls: { cert: null, key: null }, dataDir, domain })
  const publicResource = createDeviceNames(await store.secrets.getOrCreate('device-names', 32))
  const xmpp = createXmpp({
    config: { domain, bind: '127.0.0.1', xmpp: { port: 0, tlsPort: 0 } },
    limits: { ...defaultLimits, ...limits },
    counters,
    logger,
    secureContext,
    authenticator: auth,
    admission,
    followers,
    publicResource,
  })
  return {
    port: await portOf(xmpp),
    store,
    auth,
    admission,
    followers,
    log,
    counters,
    publicResource,
    createAccount: (name) => createAccount(store, name),
    stopXmpp: () => xmpp.stop(),
    async close() {
      await xmpp.stop()
      await auth.stop()
      await close()
    },
  }
}

async function portOf(xmpp: Adapter): Promise<number> {
  const [listening] = await xmpp.start()
  if (!listening?.port) throw new Error('XMPP does not listen')
  return listening.port
}

let accounts = 0

async function createAccount(store: Store, prefix: string): Promise<Party> {
  accounts += 1
  const name = `${prefix}-${accounts}`
  const verifiers = await makeVerifiers(password)
  const account = await store.accounts.create({ name, role: 'user', plainTopics: 'all', verifiers })
  if (account === null) throw new Error(`the name ${name} is taken`)
  return { id: account.id, name, address: `${name}@${domain}` }
}
