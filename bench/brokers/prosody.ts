// Prosody with TLS, password login and its own files as storage; with the archive (XEP-0313) of every message, or without.
import { execFileSync, spawnSync } from 'node:child_process'
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { makeSelfSigned } from '../../broker/self-signed.ts'
import {
  accepts,
  type BrokerUnderTest,
  chatDomain,
  chatLogins,
  freePort,
  type RunningBroker,
  singleProcess,
  startProcess,
  untilReady,
} from './broker.ts'

const env = { PATH: ['/usr/sbin', '/usr/bin', '/usr/local/bin', process.env.PATH].join(':') }

export function prepareProsody(name: 'prosody' | 'prosody-live'): BrokerUnderTest {
  if (spawnSync('which', ['prosody'], { env }).status !== 0) {
    throw new Error('prosody is not installed (Debian: apt-get install prosody)')
  }
  const about = execFileSync('prosodyctl', ['about'], { env, encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] })
  const folder = mkdtempSync(join(tmpdir(), 'bench-prosody-'))
  chmodSync(folder, 0o755)
  writeCertificate(folder)
  return {
    name,
    version: /^Prosody (\d\S*)/m.exec(about)?.[1] ?? 'unknown',
    start: () => start(folder, name),
    remove: () => rmSync(folder, { recursive: true, force: true }),
  }
}

/** Of the same kind as ClearBox makes for itself. */
function writeCertificate(folder: string): void {
  mkdirSync(join(folder, 'certs'))
  const day = 86_400_000
  const [notBefore, notAfter] = [new Date(Date.now() - day), new Date(Date.now() + 365 * day)]
  const { cert, key } = makeSelfSigned({ names: [chatDomain], notBefore, notAfter })
  writeFileSync(join(folder, 'certs', 'server.crt'), cert)
  writeFileSync(join(folder, 'certs', 'server.key'), key)
}

async function start(folder: string, name: 'prosody' | 'prosody-live'): Promise<RunningBroker> {
  const port = await freePort()
  const data = mkdtempSync(join(folder, 'data-'))
  writeAccounts(data)
  const file = join(data, 'prosody.cfg.lua')
  writeFileSync(file, configuration(folder, data, port, name === 'prosody'))
  const broker = await startProcess('prosody', ['-F', '--config', file], env)
  await untilReady(broker, () => accepts(port))
  return singleProcess(name, broker, { xmpp: port })
}

/** As its `internal_plain` authentication keeps them. */
function writeAccounts(data: string): void {
  const folder = join(data, chatDomain, 'accounts')
  mkdirSync(folder, { recursive: true })
  for (const { username, password } of chatLogins) {
    writeFileSync(join(folder, `${username}.dat`), `return { ["password"] = ${JSON.stringify(password)}; };\n`)
  }
}

function configuration(folder: string, data: string, port: number, hasArchive: boolean): string {
  const modules = ['roster', 'saslauth', 'tls', 'disco', 'ping', ...(hasArchive ? ['mam'] : [])]
  return `${[
    ...(process.getuid?.() === 0 ? ['run_as_root = true'] : []),
    `pidfile = ${JSON.stringify(join(data, 'prosody.pid'))}`,
    `data_path = ${JSON.stringify(data)}`,
    `certificates = ${JSON.stringify(join(folder, 'certs'))}`,
    `ssl = { certificate = ${JSON.stringify(join(folder, 'certs', 'server.crt'))}, key = ${JSON.stringify(join(folder, 'certs', 'server.key'))} }`,
    `modules_enabled = { ${modules.map((module) => JSON.stringify(module)).join(', ')} }`,
    'modules_disabled = { "s2s" }',
    'interfaces = { "127.0.0.1" }',
    `c2s_ports = { ${port} }`,
    'c2s_require_encryption = true',
    'authentication = "internal_plain"',
    'storage = "internal"',
    'default_archive_policy = true',
    'log = { { levels = { min = "error" }, to = "console" } }',
    `VirtualHost ${JSON.stringify(chatDomain)}`,
  ].join('\n')}\n`
}
