// What a person sees when the server is up: where it listens, and three lines to paste that send a first message.
import type { Listening } from '../broker/types.ts'

type Banner = Readonly<{
  version: string
  domain: string
  listening: readonly Listening[]
  /** Null: it was shown at an earlier start, or chosen by the administrator. */
  adminPassword: string | null
  /** How to call the command line with the same settings: `npx clearbox`, and where needed `--config FILE`. */
  configFile: string | null
}>

export function toBanner({ version, domain, listening, adminPassword, configFile }: Banner): string {
  const lines = [`ClearBox ${version} is ready, domain ${domain}`, '', ...listening.map(toLine), '']
  if (adminPassword !== null) {
    lines.push(`  Account admin@${domain}, password ${adminPassword} (shown this once)`, '')
  }
  lines.push(...firstMessage(listening, adminPassword))
  const config = configFile === null ? '' : ` --config ${quote(configFile)}`
  lines.push(`  More accounts: npx clearbox user add NAME${config}`, '  Ctrl-C stops the server.', '')
  return lines.join('\n')
}

function toLine({ name, bind, port, note, path }: Listening): string {
  const label = name.toUpperCase().padEnd(6)
  if (path !== undefined) return `  ${label} ${path} (${note})`
  if (port === null) return `  ${label} ${note ?? 'off'}`
  const place = `${bind.includes(':') ? `[${bind}]` : bind}:${port}`
  return `  ${label} ${name.startsWith('http') ? `${name}://${place}` : place}${note === undefined ? '' : ` (${note})`}`
}

/** Log in, send, read: they need a shell, curl and Node, nothing else. */
function firstMessage(listening: readonly Listening[], adminPassword: string | null): string[] {
  const http = reach(listening, 'http')
  if (!http) return []
  const url = `http://${http.host.includes(':') ? `[${http.host}]` : http.host}:${http.port}`
  const password = adminPassword ?? `'"$CLEARBOX_ADMIN_PASSWORD"'`
  const heading = adminPassword === null ? ' (with the password of admin in CLEARBOX_ADMIN_PASSWORD)' : ''
  const json = `-H 'content-type: application/json'`
  const bearer = `-H "authorization: Bearer $TOKEN"`
  const readToken = `node -p 'JSON.parse(require("fs").readFileSync(0)).accessToken'`
  return [
    `  A first message, in another terminal${heading}:`,
    '',
    `TOKEN=$(curl -s ${url}/v1/auth/login ${json} -d '{"username":"admin","password":"${password}"}' | ${readToken})`,
    `curl -s ${url}/v1/messages ${bearer} ${json} -d '{"to":"admin","text":"Hello"}'; echo`,
    `curl -s "${url}/v1/history?with=admin" ${bearer}; echo`,
    '',
    ...overMqtt(listening, adminPassword),
  ]
}

function overMqtt(listening: readonly Listening[], adminPassword: string | null): string[] {
  const mqtt = reach(listening, 'mqtt')
  if (!mqtt) return []
  const password = adminPassword ?? '"$CLEARBOX_ADMIN_PASSWORD"'
  return [
    '  The same over MQTT, where Mosquitto’s clients are installed:',
    '',
    `mosquitto_pub -h ${mqtt.host} -p ${mqtt.port} -u admin -P ${password} -q 1 -t u/admin/in -m 'Hello over MQTT'`,
    '',
  ]
}

/** Where a client on this machine reaches a listener. */
function reach(listening: readonly Listening[], name: string): Readonly<{ host: string; port: number }> | null {
  const found = listening.find((listener) => listener.name === name)
  if (!found || found.port === null) return null
  const everywhere: Readonly<Record<string, string>> = { '0.0.0.0': '127.0.0.1', '::': '::1' }
  return { host: everywhere[found.bind] ?? found.bind, port: found.port }
}

function quote(text: string): string {
  return /^[\w./-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`
}
