// `check-config` and `config`.
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { loadConfig } from '../../broker/config-load.ts'
import { settingAt, settingPaths } from '../../broker/config-table.ts'
import { makeSelfSigned } from '../../broker/self-signed.ts'
import { runClearbox } from '../helpers/command-line.ts'
import { type ScratchFolder, scratchFolder } from '../helpers/scratch-folder.ts'

let folder: ScratchFolder
beforeAll(async () => {
  folder = await scratchFolder()
})
afterAll(() => folder.remove())

const run = (args: readonly string[], env: Record<string, string> = {}) => runClearbox(args, { cwd: folder.path, env })

it('check-config says that all is good, or tells all faults', async () => {
  expect(await run(['check-config'])).toEqual({ code: 0, out: 'The configuration is good.\n', err: '' })
  writeFileSync(join(folder.path, 'bad.yaml'), 'mqtt:\n  prot: 1\n')
  const bad = await run(['check-config', '--config', 'bad.yaml'], { CLEARBOX_HTTP_PORT: 'x' })
  expect(bad).toMatchObject({ code: 1, out: '', err: expect.stringContaining('The configuration has 2 faults:') })
})

it('check-config refuses what the start would refuse: a mode of TLS, two listeners on one port', async () => {
  const env = { CLEARBOX_DATABASE_URL: 'postgres://u:s3cret@h/d?sslmode=prefer', CLEARBOX_MQTT_PORT: '8080' }
  writeFileSync(join(folder.path, 'ports.yaml'), 'mqtt:\n  tlsPort: 5555\nxmpp:\n  tlsPort: 5555\n')
  for (const command of ['check-config', 'start']) {
    const { code, err } = await run([command, '--config', 'ports.yaml'], env)
    expect(code).toBe(1)
    expect(err).toContain('CLEARBOX_DATABASE_URL: The database URL has sslmode=prefer; expected disable, require')
    expect(err).toContain('CLEARBOX_MQTT_PORT: expected a port of its own, found 8080, which is that of http.port')
    expect(err).toContain(
      'ports.yaml:4:12 xmpp.tlsPort: expected a port of its own, found 5555, which is that of mqtt.',
    )
    expect(err).not.toContain('s3cret')
  }
})

it('check-config refuses a key that is not the certificate’s, and takes the one that is', async () => {
  const [one, other] = [pair(), pair()]
  const env = { CLEARBOX_TLS_CERT: 'cert.pem', CLEARBOX_TLS_KEY: 'key.pem' }
  writeFileSync(join(folder.path, 'cert.pem'), one.cert)
  writeFileSync(join(folder.path, 'key.pem'), other.key)
  const bad = await run(['check-config'], env)
  expect(bad.code).toBe(1)
  expect(bad.err).toMatch(
    /CLEARBOX_TLS_CERT: .*cert\.pem and .*key\.pem cannot be used: the key is not the certificate’s/,
  )
  writeFileSync(join(folder.path, 'key.pem'), one.key)
  expect(await run(['check-config'], env)).toMatchObject({ code: 0, err: '' })
})

it('config --defaults names every setting, and as a file it changes nothing', async () => {
  const { code, out, err } = await run(['config', '--defaults'])
  expect({ code, err }).toEqual({ code: 0, err: '' })
  for (const path of settingPaths) {
    expect(out).toContain(settingAt(path).env)
    expect(out).toContain(`# ${settingAt(path).doc}`)
  }
  const file = join(folder.path, 'defaults.yaml')
  writeFileSync(file, out)
  const asFile = loadConfig({ file, env: {}, fileRequired: true })
  const none = loadConfig({ file: join(folder.path, 'none.yaml'), env: {}, fileRequired: false })
  expect(asFile).toEqual(none)
})

it('config shows what is in force, and no secret', async () => {
  const env = {
    CLEARBOX_MQTT_PORT: 'off',
    CLEARBOX_DATABASE_URL: 'postgres://u:s3cret@h/d',
    CLEARBOX_ADMIN_PASSWORD: 's3cret',
  }
  const { code, out } = await run(['config'], env)
  expect(code).toBe(0)
  expect(out).toMatch(/^mqtt:\n(.*\n)*? {2}port: off$/m)
  expect(out).toContain('# password: is set, and not shown')
  expect(out).not.toContain('s3cret')
})

function pair() {
  const now = Date.now()
  return makeSelfSigned({ names: ['localhost'], notBefore: new Date(now - 1000), notAfter: new Date(now + 86_400_000) })
}
