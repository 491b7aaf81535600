// Mosquitto with a password file and an ACL file, and limits under which it drops nothing. Everything in memory.
import { execFileSync, spawnSync } from 'node:child_process'
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import {
  accepts,
  type BrokerUnderTest,
  freePort,
  logins,
  type RunningBroker,
  singleProcess,
  startProcess,
  untilReady,
} from './broker.ts'

export async function prepareMosquitto(): Promise<BrokerUnderTest> {
  const path = ['/usr/sbin', '/usr/local/sbin', process.env.PATH].join(':')
  const version = spawnSync('mosquitto', ['-h'], { encoding: 'utf8', env: { PATH: path } }).stdout?.match(
    /version (\S+)/,
  )
  if (!version) throw new Error('mosquitto is not installed (Debian: apt-get install mosquitto)')
  const folder = mkdtempSync(join(tmpdir(), 'bench-mosquitto-'))
  chmodSync(folder, 0o755)
  writePermissions(folder, path)
  return {
    name: 'mosquitto',
    version: version[1] ?? 'unknown',
    start: () => start(folder, path),
    remove: () => rmSync(folder, { recursive: true, force: true }),
  }
}

function writePermissions(folder: string, path: string): void {
  const passwords = join(folder, 'passwords')
  writeFileSync(passwords, '')
  for (const { username, password } of logins) {
    execFileSync('mosquitto_passwd', ['-b', passwords, username, password], { env: { PATH: path } })
  }
  chmodSync(passwords, 0o644)
  const rules = logins.map(({ username }) => `user ${username}\ntopic readwrite bench/#\n`)
  writeFileSync(join(folder, 'acl'), rules.join('\n'))
}

async function start(folder: string, path: string): Promise<RunningBroker> {
  const port = await freePort()
  const file = join(folder, 'mosquitto.conf')
  writeFileSync(file, configuration(folder, port))
  const broker = await startProcess('mosquitto', ['-c', file], { PATH: path })
  await untilReady(broker, () => accepts(port))
  return singleProcess('mosquitto', broker, { mqtt: port })
}

function configuration(folder: string, port: number): string {
  return `${[
    `listener ${port} 127.0.0.1`,
    'allow_anonymous false',
    `password_file ${join(folder, 'passwords')}`,
    `acl_file ${join(folder, 'acl')}`,
    'max_inflight_messages 0',
    'max_queued_messages 0',
    'max_queued_bytes 0',
    'persistence false',
    'log_type error',
    ...(process.getuid?.() === 0 ? ['user root'] : []),
  ].join('\n')}\n`
}
