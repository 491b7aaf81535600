// ClearBox as it is built, with password login, permissions and metrics on and its embedded database on disk.
import { spawnSync } from 'node:child_process'
import { chmodSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { allProcesses, type ProcessStat, processTree, rssBytes } from '../cpu.ts'
import {
  type BrokerProcess,
  type BrokerUnderTest,
  chatDomain,
  freePort,
  type RunningBroker,
  startProcess,
  untilReady,
} from './broker.ts'
import { addAccounts } from './clearbox-accounts.ts'

const ownProgram = fileURLToPath(new URL('../../bin/clearbox.js', import.meta.url))

export type ClearboxOptions = Readonly<{
  /** Path of the clearbox.js to run; null: the one of this folder. */
  program: string | null
  /** Folder for the profiles of its processes; null: none. */
  profile: string | null
}>

export async function prepareClearbox(options: ClearboxOptions): Promise<BrokerUnderTest> {
  const program = resolve(options.program ?? ownProgram)
  const flags = options.profile === null ? [] : ['--cpu-prof', `--cpu-prof-dir=${resolve(options.profile)}`]
  if (!existsSync(program)) throw new Error(`there is no ${program}`)
  const folder = mkdtempSync(join(tmpdir(), 'bench-clearbox-'))
  chmodSync(folder, 0o755)
  const data = join(folder, 'data')
  const remove = (): void => rmSync(folder, { recursive: true, force: true })
  try {
    const first = await start([program], data)
    try {
      await addAccounts(program, data)
    } finally {
      await first.stop()
    }
    return {
      name: 'clearbox',
      version: versionOf(program, data),
      start: () => start([...flags, program], data),
      remove,
    }
  } catch (error) {
    remove()
    throw error
  }
}

function environment(data: string): NodeJS.ProcessEnv {
  const inherited = Object.entries(process.env).filter(
    ([name]) => !name.startsWith('CLEARBOX_') && name !== 'NODE_OPTIONS',
  )
  return {
    ...Object.fromEntries(inherited),
    CLEARBOX_DATA_DIR: data,
    CLEARBOX_BIND: '127.0.0.1',
    CLEARBOX_MQTTS_PORT: 'off',
    CLEARBOX_XMPPS_PORT: 'off',
    CLEARBOX_HTTPS_PORT: 'off',
    CLEARBOX_MQTT_ANONYMOUS: 'off',
    CLEARBOX_ADMIN_PASSWORD: 'secret-of-the-bench-admin',
    CLEARBOX_DOMAIN: chatDomain,
    CLEARBOX_HTTP_RATE_PER_ADDRESS: '1000000',
    CLEARBOX_HTTP_RATE_PER_ACCOUNT: '1000000',
    CLEARBOX_QUOTA_PER_SECOND: '1000000',
    CLEARBOX_QUOTA_BURST: '1000000',
    CLEARBOX_LIMIT_CONNECTS_PER_SECOND: 'off',
    CLEARBOX_LIMIT_CONNECTIONS_PER_ADDRESS: 'off',
    CLEARBOX_LIMIT_CONNECTIONS_PER_ACCOUNT: 'off',
  }
}

/** What `clearbox version` says. */
function versionOf(program: string, data: string): string {
  const result = spawnSync(process.execPath, [program, 'version'], { env: environment(data), encoding: 'utf8' })
  if (result.status !== 0) throw new Error(`clearbox version: ${result.stdout}${result.stderr}`)
  return result.stdout.trim().replace(/^clearbox\s+/i, '')
}

/** `command` are Node's arguments: the program, and flags before it. */
async function start(command: readonly string[], data: string): Promise<RunningBroker> {
  const ports = { mqtt: await freePort(), xmpp: await freePort(), http: await freePort() }
  const env = {
    ...environment(data),
    CLEARBOX_MQTT_PORT: String(ports.mqtt),
    CLEARBOX_XMPP_PORT: String(ports.xmpp),
    CLEARBOX_HTTP_PORT: String(ports.http),
  }
  const broker = await startProcess(process.execPath, [...command, 'start'], env)
  await untilReady(broker, () => isReady(ports.http))
  return running(broker, ports, postmasterPid(data))
}

async function isReady(http: number): Promise<boolean> {
  try {
    const answer = await fetch(`http://127.0.0.1:${http}/ready`, { headers: { connection: 'close' } })
    await answer.arrayBuffer()
    return answer.ok
  } catch {
    return false
  }
}

/** The first line of postmaster.pid, which stands in the folder of the cluster, somewhere below the data folder. */
function postmasterPid(data: string): number {
  const file = readdirSync(data, { recursive: true, encoding: 'utf8' }).find((path) => path.endsWith('postmaster.pid'))
  if (file === undefined) throw new Error('no postmaster.pid in the data folder')
  return Number(readFileSync(join(data, file), 'latin1').split('\n')[0])
}

function running(broker: BrokerProcess, ports: RunningBroker['ports'], postmaster: number): RunningBroker {
  return {
    name: 'clearbox',
    ports,
    cpu() {
      const all = allProcesses()
      const ours = processTree(all, broker.pid, postmaster)
      return { brokerUs: total(ours), databaseUs: total(processTree(all, postmaster, null), postmaster) }
    },
    rss: () => rssBytes(broker.pid),
    isAlive: broker.isAlive,
    stop: broker.stop,
  }
}

/** Own time of all; of `reaper` also that of its children that have ended. */
function total(tree: readonly ProcessStat[], reaper?: number): number {
  return tree.reduce((sum, stat) => sum + stat.ownUs + (stat.pid === reaper ? stat.reapedUs : 0), 0)
}
