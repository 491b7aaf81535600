// The programs of others that test/outside runs, and the one line that installs them.
import { spawnSync } from 'node:child_process'

type Program = Readonly<{ package: string; check: string }>

/** Debian's python3, whatever else is on the PATH: its packages are there only. */
export const python = '/usr/bin/python3'

const programs: readonly Program[] = [
  { package: 'mosquitto-clients', check: 'command -v mosquitto_pub && command -v mosquitto_sub' },
  { package: 'python3-slixmpp', check: `${python} -c 'import slixmpp'` },
  { package: 'python3-paho-mqtt', check: `${python} -c 'import paho.mqtt.client'` },
  { package: 'go-sendxmpp', check: 'command -v go-sendxmpp' },
  { package: 'postgresql-client', check: 'command -v psql' },
  { package: 'chromium', check: 'test -x /usr/bin/chromium' },
  { package: 'curl', check: 'command -v curl' },
  { package: 'util-linux', check: 'command -v setpriv' },
  { package: 'iproute2', check: 'command -v ip' },
]

/** Once before the tests: what is missing is a failure, never a skip. */
export function setup(): void {
  const missing = programs.filter(({ check }) => spawnSync('sh', ['-c', check]).status !== 0)
  if (missing.length === 0) return
  const packages = missing.map((program) => program.package).join(' ')
  throw new Error(`Programs are missing: apt-get install --no-install-recommends -y ${packages}`)
}
