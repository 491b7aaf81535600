// A whole broker on a scratch data folder, in the test's own process: one per test file.
import { join } from 'node:path'
import { makeVerifiers } from '../../broker/auth/scram.ts'
import type { Config } from '../../broker/config.ts'
import { loadConfig } from '../../broker/config-load.ts'
import type { Limits } from '../../broker/limits.ts'
import { createLogger } from '../../broker/log.ts'
import { startBroker } from '../../broker/main.ts'
import type { Store } from '../../broker/stores.ts'
import type { Listening } from '../../broker/types.ts'
import { openStore } from '../../storage/index.ts'
import { type ScratchFolder, scratchFolder } from './store.ts'

export type TestBroker = Readonly<{
  mqttPort: number
  mqttsPort: number
  xmppPort: number
  xmppsPort: number
  httpPort: number
  httpsPort: number
  http: string
  dataDir: string
  /** All of them, by name and address. */
  listening: readonly Listening[]
  /** The broker's database, opened a second time, as the command line does. */
  store: Store
  /** Makes an account with a name of its own (`prefix` + counter) and the password `<name>-pw`. */
  account(prefix?: string): Promise<Readonly<{ name: string; password: string }>>
  stop(): Promise<void>
  /** Other rules of plain topics, as SIGHUP brings them. */
  replaceAcl(acl: Config['acl']): Promise<void>
  /** Stops it and starts it again on the same data, with more environment. */
  restart(env?: Readonly<Record<string, string>>): Promise<TestBroker>
}>

export type TestBrokerOptions = Readonly<{ env?: Readonly<Record<string, string>>; limits?: Limits }>

export const adminPassword = 'admin-password'
let accounts = 0

/** Quotas, rate limits and waits after failed logins are far away unless a test asks for them. */
export async function startTestBroker(options: TestBrokerOptions = {}): Promise<TestBroker> {
  return startOn(await scratchFolder(), options)
}

async function startOn(folder: ScratchFolder, options: TestBrokerOptions): Promise<TestBroker> {
  const dataDir = join(folder.path, 'data')
  const config = testConfig(dataDir, options.env ?? {})
  const logger = createLogger(config.log.level)
  const broker = await startBroker({ config, logger, ...(options.limits && { limits: options.limits }) })
  const store = await openStore({ config, logger, purpose: 'tool' })
  const portOf = (name: string) => broker.listening.find((listening) => listening.name === name)?.port ?? 0

  async function halt(): Promise<void> {
    await store.close()
    await broker.stop()
  }

  return {
    mqttPort: portOf('mqtt'),
    mqttsPort: portOf('mqtts'),
    xmppPort: portOf('xmpp'),
    xmppsPort: portOf('xmpps'),
    httpPort: portOf('http'),
    httpsPort: portOf('https'),
    http: `http://127.0.0.1:${portOf('http')}`,
    dataDir,
    listening: broker.listening,
    store,
    async account(prefix = 'user') {
      const name = `${prefix}${++accounts}`
      const password = `${name}-pw`
      await store.accounts.create({ name, role: 'user', plainTopics: 'all', verifiers: await makeVerifiers(password) })
      return { name, password }
    },
    async stop() {
      await halt()
      await folder.remove()
    },
    replaceAcl: broker.replaceAcl,
    async restart(env = {}) {
      await halt()
      return startOn(folder, { ...options, env: { ...options.env, ...env } })
    },
  }
}

function testConfig(dataDir: string, env: Readonly<Record<string, string>>) {
  const loaded = loadConfig({
    file: 'none.yaml',
    fileRequired: false,
    env: {
      CLEARBOX_DATA_DIR: dataDir,
      CLEARBOX_MQTT_PORT: '0',
      CLEARBOX_XMPP_PORT: '0',
      CLEARBOX_HTTP_PORT: '0',
      CLEARBOX_MQTTS_PORT: '0',
      CLEARBOX_XMPPS_PORT: '0',
      CLEARBOX_HTTPS_PORT: '0',
      CLEARBOX_ADMIN_PASSWORD: adminPassword,
      CLEARBOX_LOG_LEVEL: 'warn',
      CLEARBOX_QUOTA_PER_SECOND: '1000000',
      CLEARBOX_QUOTA_BURST: '1000000',
      CLEARBOX_HTTP_RATE_PER_ADDRESS: '1000000',
      CLEARBOX_HTTP_RATE_PER_ACCOUNT: '1000000',
      CLEARBOX_FLAPPING_LOSSES: 'off',
      CLEARBOX_LIMIT_CONNECTS_PER_SECOND: 'off',
      CLEARBOX_LOGIN_TRIES: '1000',
      CLEARBOX_LOGIN_ADDRESS_TRIES: '100000',
      ...env,
    },
  })
  if ('faults' in loaded) throw new Error(loaded.faults.join('\n'))
  return loaded.config
}
