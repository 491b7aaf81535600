import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { afterAll, describe, expect, test } from 'vitest'
import { loadConfig } from '../../broker/config-load.ts'

const folder = mkdtempSync(join(tmpdir(), 'clearbox-config-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

function load(yaml: string | null, env: Record<string, string> = {}, fileRequired = false) {
  const file = join(folder, 'clearbox.yaml')
  rmSync(file, { force: true })
  if (yaml !== null) writeFileSync(file, yaml)
  const loaded = loadConfig({ file, env, fileRequired })
  const short = (lines: readonly string[]) => lines.map((line) => line.replaceAll(`${folder}/`, ''))
  return 'faults' in loaded
    ? { faults: short(loaded.faults), warnings: short(loaded.warnings) }
    : { config: loaded.config, warnings: short(loaded.warnings) }
}

describe('ports', () => {
  test('off and 0 are nobody’s, and what is moved away is free', () => {
    const yaml =
      'mqtt: { port: 0, tlsPort: 0 }\nxmpp: { port: off, tlsPort: off }\nhttp: { port: 1883, tlsPort: 8080 }\n'
    expect(load(yaml).faults).toBeUndefined()
  })
})

describe('defaults and precedence', () => {
  test('without a file and without variables every setting has its default', () => {
    const { config, warnings } = load(null)
    expect(warnings).toEqual([])
    expect(config).toMatchObject({
      domain: 'localhost',
      dataDir: resolve('./data'),
      bind: ['127.0.0.1'],
      mqtt: { port: 1883, tlsPort: 8883, anonymous: false },
      http: { port: 8080, tlsPort: 8443 },
      database: { url: null, binDir: null },
      registration: 'off',
    })
  })

  test('the environment beats the file, and an empty variable counts as unset', () => {
    const yaml = 'mqtt:\n  port: 1\nxmpp:\n  port: 2\n'
    const { config } = load(yaml, { CLEARBOX_MQTT_PORT: '0', CLEARBOX_XMPP_PORT: '' })
    expect(config?.mqtt.port).toBe(0)
    expect(config?.xmpp.port).toBe(2)
  })

  test('an empty file, an empty section and an empty value are no faults', () => {
    expect(load('').faults).toBeUndefined()
    expect(load('mqtt:\nhttp:\n  port:\n').config?.http.port).toBe(8080)
  })

  test('off switches a listener off, on and off are a switch, quoted numbers are ports', () => {
    const { config } = load('mqtt: { port: off, anonymous: on }\nhttp: { port: "81" }\n')
    expect(config?.mqtt).toMatchObject({ port: 'off', anonymous: true })
    expect(config?.http.port).toBe(81)
  })

  test('several addresses are a list in the file, and separated by commas in a variable', () => {
    expect(load('bind: [localhost, "::1"]\n').config?.bind).toEqual(['127.0.0.1', '::1'])
    expect(load('bind: 0.0.0.0\n', { CLEARBOX_BIND: '10.0.0.7, ::' }).config?.bind).toEqual(['10.0.0.7', '::'])
    for (const wrong of ['[]', '[1]', '["::1", "::1"]', '127.0.0.1;']) {
      expect(load(`bind: ${wrong}\n`).faults?.[0]).toMatch(/^clearbox\.yaml:1:7 bind: expected IP addresses/)
    }
  })

  test('trusted proxies are addresses and networks', () => {
    const proxies = (CLEARBOX_TRUSTED_PROXIES: string) => load(null, { CLEARBOX_TRUSTED_PROXIES })
    expect(proxies('10.0.0.0/8,::1').config?.http.trustedProxies).toEqual(['10.0.0.0/8', '::1'])
    for (const wrong of ['all', '10.0.0.0/33', '10.0.0.0/8/8', '::1/129', '10/8']) {
      expect(proxies(wrong).faults).toHaveLength(1)
    }
  })

  test('the configuration is frozen', () => {
    const { config } = load(null)
    expect(Object.isFrozen(config) && Object.isFrozen(config?.mqtt)).toBe(true)
  })

  test.each([
    ['Chat.Example.ORG', 'chat.example.org'],
    ['xn--bcher-kva.example', 'bücher.example'],
    ['10.0.0.7', '10.0.0.7'],
    ['[::1]', '[::1]'],
  ])('domain %s becomes %s', (written, canonical) => {
    expect(load(null, { CLEARBOX_DOMAIN: written }).config?.domain).toBe(canonical)
  })
})

describe('faults', () => {
  test('all faults of the file and of the environment come at once, each with its place', () => {
    const yaml = 'domain: a..b\nmqtt:\n  anonymus: on\n  port: 99999\nxmpp: 5\n'
    const { faults } = load(yaml, { CLEARBOX_HTTP_PORT: 'eighty', CLEARBOX_BIND: 'eth0' })
    expect(faults).toEqual([
      'clearbox.yaml:1:9 domain: expected a domain name such as example.org, localhost or an IP address, found "a..b"',
      'clearbox.yaml:3:3 mqtt.anonymus: expected one of port, tlsPort, anonymous, sysSeconds, found an unknown key (did you mean anonymous?)',
      'clearbox.yaml:4:9 mqtt.port: expected a port from 0 to 65535, or off, found 99999',
      'clearbox.yaml:5:7 xmpp: expected a section, found 5',
      'CLEARBOX_BIND: expected IP addresses or localhost, each once, separated by commas, found "eth0"',
      'CLEARBOX_HTTP_PORT: expected a port from 0 to 65535, or off, found "eighty"',
    ])
  })

  test('a value of the file that the environment replaces is judged all the same', () => {
    expect(load('mqtt: { port: -1 }', { CLEARBOX_MQTT_PORT: '1' }).faults).toHaveLength(1)
  })

  test('a key at the wrong level is told where it belongs', () => {
    expect(load('anonymous: on\n').faults?.[0]).toContain('(did you mean mqtt.anonymous?)')
  })

  test('no secret appears in a fault', () => {
    const { faults } = load('auth: { jwtSecret: hunter2 }\nadmin: { password: 1234 }\n', {
      CLEARBOX_DATABASE_URL: 'mysql://root:hunter2@host/',
    })
    expect(faults).toEqual([
      'clearbox.yaml:1:20 auth.jwtSecret: expected a text of at least 32 bytes, found a text of 7 bytes',
      expect.stringMatching(/^clearbox.yaml:2:20 admin.password: .* found a number; put it in quotes$/),
      expect.stringMatching(/^CLEARBOX_DATABASE_URL: expected a URL such as .* found a text of 26 bytes$/),
    ])
  })

  test.each([
    ['mqtt: [1', /^clearbox\.yaml:1:\d+ /],
    ['mqtt: {}\nmqtt: {}\n', /^clearbox\.yaml:2:1 .*unique/],
    ['- a list\n', /^clearbox\.yaml:1:1: expected a section, found \["a list"\]$/],
    ['__proto__: { x: 1 }\n', /^clearbox\.yaml:1:1 __proto__: .* unknown key$/],
    [`a: &a [x,x,x]\nb: &b [${'*a,'.repeat(60)}]\nc: [${'*b,'.repeat(60)}]\n`, /alias/],
  ])('a file that is not a proper one is refused (%j)', (yaml, fault) => {
    expect(load(yaml).faults?.[0]).toMatch(fault)
  })

  test('a file that was asked for must be there', () => {
    expect(load(null, {}, true).faults).toEqual(['clearbox.yaml: no such file'])
  })

  test('certificate and key come together, and must be readable', () => {
    const cert = join(folder, 'cert.pem')
    writeFileSync(cert, '')
    expect(load(null, { CLEARBOX_TLS_CERT: cert }).faults).toEqual([
      'CLEARBOX_TLS_CERT: expected tls.key beside it, found none; give both or none',
    ])
    expect(load(`tls: { cert: ${cert}, key: ${folder}/none }`).faults?.[0]).toMatch(
      /^clearbox\.yaml:1:\d+ tls\.key: expected a readable file, found none \(ENOENT\)$/,
    )
  })
})

describe('variables that are not settings', () => {
  test('an unknown name is a warning with a suggestion', () => {
    expect(load(null, { CLEARBOX_MQTT_PROT: '1', CLEARBOX_SHIP: 'x' }).warnings).toEqual([
      'CLEARBOX_MQTT_PROT: no such setting, ignored (did you mean CLEARBOX_MQTT_PORT?)',
      'CLEARBOX_SHIP: no such setting, ignored',
    ])
  })

  test('what Kubernetes injects for a Service is one warning', () => {
    const { config, warnings } = load(null, {
      CLEARBOX_SERVICE_HOST: '10.0.0.1',
      CLEARBOX_SERVICE_PORT_MQTT: '1883',
      CLEARBOX_PORT: 'tcp://10.0.0.1:1883',
      CLEARBOX_PORT_1883_TCP_ADDR: '10.0.0.1',
      CLEARBOX_MQTT_PORT_1883_TCP: 'tcp://10.0.0.1:1883',
    })
    expect(config).toBeDefined()
    expect(warnings).toEqual([expect.stringMatching(/^CLEARBOX_SERVICE_HOST and 4 more: set by Kubernetes/)])
  })

  test('a port that Kubernetes overwrote says so', () => {
    expect(load(null, { CLEARBOX_MQTT_PORT: 'tcp://10.0.0.1:1883' }).faults).toEqual([
      expect.stringContaining('Kubernetes sets this for a Service named clearbox-mqtt: rename the Service'),
    ])
  })

  test('what is accepted but not built yet says so', () => {
    const { config, warnings } = load('registration: open\n', { CLEARBOX_REDIS_URL: 'redis://localhost' })
    expect(config?.registration).toBe('open')
    expect(warnings.filter((line) => line.includes('not built yet'))).toHaveLength(1)
  })
})
