import { type ChildProcess, execFileSync } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { matchesVerifiers } from '../../broker/auth/scram.ts'
import { runClearbox, spawnClearbox } from '../helpers/command-line.ts'
import { logIn } from '../helpers/rest.ts'
import { openEmbeddedStore, type ScratchFolder, scratchFolder } from '../helpers/store.ts'

let folder: ScratchFolder
beforeAll(async () => {
  folder = await scratchFolder()
})
afterAll(() => folder.remove())

const ports = ['MQTT', 'MQTTS', 'XMPP', 'XMPPS', 'HTTP', 'HTTPS']
const free = Object.fromEntries(ports.map((name) => [`CLEARBOX_${name}_PORT`, '0']))
const run = (args: readonly string[], input = '', env: Record<string, string> = free) =>
  runClearbox(args, { cwd: folder.path, env, input })

describe('what is not a command', () => {
  test('version and help are answers; no command is a question with exit code 2', async () => {
    const { version } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as Record<
      string,
      string
    >
    expect(await run(['version'])).toEqual({ code: 0, out: `${version}\n`, err: '' })
    expect(await run(['--version'])).toEqual({ code: 0, out: `${version}\n`, err: '' })
    expect(await run(['--help'])).toMatchObject({ code: 0, out: expect.stringContaining('start'), err: '' })
    expect(await run([])).toMatchObject({ code: 2, out: '', err: expect.stringContaining('Usage: clearbox') })
  })

  test.each([
    [['strat'], 'Did you mean start?'],
    [['user', 'ad', 'x'], 'Did you mean add?'],
    [['user', 'add'], "missing required argument 'name'"],
    [['user', 'add', 'x', '--role', 'king'], 'Allowed choices are admin, user'],
    [['user', 'add', 'a b', '--password-stdin'], '"a b" cannot be an account of localhost.'],
    [['user', 'add', 'x'], 'give it with --password-stdin'],
  ])('%j ends with 2 and says what was meant', async (args, words) => {
    expect(await run(args)).toMatchObject({ code: 2, out: '', err: expect.stringContaining(words) })
  })
})

describe('configuration', () => {
  test('all faults are told, and nothing starts', async () => {
    const file = join(folder.path, 'bad.yaml')
    writeFileSync(file, 'mqtt:\n  prot: 1\n')
    const { code, err } = await run(['start', '--config', 'bad.yaml'], '', { CLEARBOX_HTTP_PORT: 'x' })
    expect(code).toBe(1)
    expect(err).toMatch(
      /^The configuration has 2 faults:\n {2}bad.yaml:2:3 mqtt.prot: .*\n {2}CLEARBOX_HTTP_PORT: .*\n$/,
    )
  })

  test('a file that was asked for and is not there is told', async () => {
    const { code, err } = await run(['user', 'passwd', 'x', '--config', 'none.yaml'])
    expect({ code, err }).toEqual({ code: 1, err: 'The configuration has a fault:\n  none.yaml: no such file\n' })
  })
})

describe('user', () => {
  test('without a server: an account is made once, and its password changed', async () => {
    expect(await run(['user', 'add', 'Alice@localhost', '--password-stdin'], 'first secret\n')).toEqual({
      code: 0,
      out: 'Made the account alice@localhost.\n',
      err: '',
    })
    expect(await run(['user', 'add', 'alice', '--password-stdin'], 'x')).toMatchObject({
      code: 1,
      err: expect.stringContaining('There is an account alice already.'),
    })
    expect(await run(['user', 'passwd', 'alice', '--password-stdin'], 'second secret\r\n')).toMatchObject({
      code: 0,
      err: '',
    })
    expect(await run(['user', 'passwd', 'nobody', '--password-stdin'], 'x')).toMatchObject({
      code: 1,
      err: 'There is no account nobody@localhost.\n',
    })
    const store = await openEmbeddedStore(join(folder.path, 'data'), 'tool')
    const account = await store.accounts.byName('alice')
    await store.close()
    if (!account) throw new Error('no account')
    expect(account).toMatchObject({ role: 'user', plainTopics: 'all', credentialVersion: 2 })
    expect(await matchesVerifiers('second secret', account.verifiers)).toBe(true)
  }, 60_000)

  test.each([
    ['nothing', ''],
    ['two lines', 'a\nb\n'],
    ['too much', 'x'.repeat(100_000)],
  ])('a password of %s is refused before anything is opened', async (_what, input) => {
    const { code, err } = await run(['user', 'add', 'carol', '--password-stdin'], input)
    expect(code).toBe(1)
    expect(err).toMatch(/^(A password has 1 to 1023 bytes|Standard input has more)/)
  })
})

describe('start', () => {
  type Ready = { listening: { name: string; port: number | null; note?: string }[] }

  const children: ChildProcess[] = []
  afterEach(async () => {
    const running = children.splice(0).filter((child) => child.exitCode === null && child.signalCode === null)
    for (const child of running) child.kill('SIGTERM')
    await Promise.all(running.map((child) => once(child, 'close')))
  })

  async function start(env: Record<string, string> = free) {
    const child = spawnClearbox(['start'], folder.path, env)
    children.push(child)
    const output = { out: '', err: '' }
    child.stdout?.setEncoding('utf8').on('data', (text: string) => {
      output.out += text
    })
    child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      output.err += text
    })
    const ended = once(child, 'close') as Promise<[number | null]>
    await Promise.race([
      new Promise<void>((resolve) => child.stdout?.on('data', () => output.out.includes('Ctrl-C') && resolve())),
      ended.then(() => {
        throw new Error(output.err)
      }),
    ])
    const line = output.err.split('\n').find((text) => text.includes('"msg":"ready"')) ?? '{}'
    const { listening } = JSON.parse(line) as Ready
    const stop = async (signal: NodeJS.Signals) => {
      child.kill(signal)
      return (await ended)[0]
    }
    return { output, listening, stop }
  }

  test('shows where it listens, the password of admin once, and three lines that send a first message', async () => {
    const server = await start()
    const { out } = server.output
    const portOf = (name: string) => server.listening.find((listener) => listener.name === name)?.port
    expect(out).toContain(`MQTT   127.0.0.1:${portOf('mqtt')}`)
    expect(out).toContain(`HTTP   http://127.0.0.1:${portOf('http')}`)
    expect(out).toContain(`HTTPS  https://127.0.0.1:${portOf('https')}`)
    const password = /password ([a-z2-9-]+) \(shown this once\)/.exec(out)?.[1] ?? ''
    expect(server.output.err).not.toContain(password)

    const pasted = out.split('\n').filter((line) => /^(TOKEN|curl)/.test(line))
    expect(pasted).toHaveLength(3)
    const history =
      execFileSync('sh', ['-ec', pasted.join('\n')])
        .toString()
        .trim()
        .split('\n')
        .at(-1) ?? ''
    expect(JSON.parse(history)).toMatchObject({ items: [{ from: 'admin@localhost', text: 'Hello' }] })

    const second = await run(['start'])
    expect(second).toMatchObject({ code: 1, out: '', err: expect.stringContaining('Another ClearBox runs') })

    expect(await run(['user', 'add', 'dora', '--password-stdin'], 'pw')).toMatchObject({ code: 0 })
    const dora = await logIn(`http://127.0.0.1:${portOf('http')}`, { name: 'dora', password: 'pw' })
    expect((await dora.get('/v1/history?with=admin')).status).toBe(200)

    expect(await server.stop('SIGINT')).toBe(0)
    const again = await start({ ...free, CLEARBOX_MQTT_PORT: 'off' })
    expect(again.output.out).not.toContain('shown this once')
    expect(again.output.out).toContain('MQTT   off')
    expect(await again.stop('SIGTERM')).toBe(0)
  }, 90_000)

  test('a port that is taken is told in a sentence', async () => {
    const other = createServer().listen(0, '127.0.0.1')
    await once(other, 'listening')
    const { port } = other.address() as { port: number }
    const { code, err } = await run(['start'], '', { ...free, CLEARBOX_HTTP_PORT: String(port) })
    other.close()
    expect(code).toBe(1)
    expect(err).toContain(`Cannot listen on 127.0.0.1 port ${port}: another program listens there already.`)
  }, 60_000)
})
