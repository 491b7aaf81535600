// As whom it runs: an ordinary user, root, and root in a folder that nobody else may enter.
import { execFileSync, spawnSync } from 'node:child_process'
import { chmod, chown, mkdir, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, it, onTestFinished } from 'vitest'
import { passwordOf, root, runCli, type ServerOptions, startServer } from '../helpers/process.ts'
import { scratchFolder } from '../helpers/store.ts'
import { curl } from './mosquitto.ts'

/** An account that every Debian has, and that is not the one root's database runs as. */
const ordinary = { name: 'daemon', uid: 1, gid: 1 }
const isRoot = process.getuid?.() === 0

/** What `npm ci && npm run build` leaves, in a folder of its own. */
async function copyProduct(mode: number): Promise<string> {
  const folder = await scratchFolder()
  onTestFinished(folder.remove)
  await chmod(folder.path, mode)
  const product = join(folder.path, 'clearbox')
  await mkdir(product)
  for (const part of ['bin', 'dist', 'package.json', 'node_modules']) {
    execFileSync('cp', ['-a', '--reflink=auto', join(root, part), product])
  }
  return product
}

/** Starts it, makes an account, logs in, and starts it again on what it has made. */
async function use(options: ServerOptions): Promise<void> {
  const first = await startServer(options)
  onTestFinished(first.dispose)
  await first.addUser('alice')
  expect(await first.end('SIGTERM')).toEqual({ code: 0, signal: null })
  const server = await first.restart()
  onTestFinished(server.dispose)
  const body = { username: 'alice', password: passwordOf('alice') }
  expect(await curl(`${server.http}/v1/auth/login`, null, body)).toHaveProperty('accessToken')
  console.log(`ready after ${first.startMs} ms the first time, ${server.startMs} ms later`)
}

it('runs as the user who runs the tests', async () => {
  const folder = await scratchFolder()
  onTestFinished(folder.remove)
  await use({ dataDir: join(folder.path, 'data') })
})

it.runIf(isRoot)('runs as an ordinary user', async () => {
  const product = await copyProduct(0o755)
  const dataDir = join(product, 'data')
  await chown(product, ordinary.uid, ordinary.gid)
  const through = ['setpriv', `--reuid=${ordinary.uid}`, `--regid=${ordinary.gid}`, '--clear-groups']
  await use({ product, dataDir, through })
  expect((await stat(join(dataDir, 'postgres'))).uid).toBe(ordinary.uid)
})

it.runIf(isRoot)('runs as root where nobody else may enter, or says what would help', async () => {
  const product = await copyProduct(0o700)
  const dataDir = join(product, 'data')
  if (spawnSync('unshare', ['--user', '--', 'true']).status === 0) {
    await use({ product, dataDir })
    expect((await stat(join(dataDir, 'postgres'))).uid).toBe(0)
    return
  }
  const refused = await runCli(['start'], { product, dataDir })
  expect(refused.code).toBe(1)
  expect(refused.output).toContain('CLEARBOX_DATABASE_URL')
})
