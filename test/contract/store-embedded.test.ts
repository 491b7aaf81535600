// The embedded database as a child process: who may use it, and what outlives whom (DESIGN §6).
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmod, mkdir, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterEach, describe, expect, it } from 'vitest'
import { type Store, TransientStoreError } from '../../broker/stores.ts'
import { isClaimed, readClaim } from '../../storage/embedded/postmaster.ts'
import { StoreStartError } from '../../storage/start-error.ts'
import { eventually } from '../helpers/eventually.ts'
import { openEmbeddedStore, scratchFolder, someAccount, someMessage } from '../helpers/store.ts'

const isRoot = process.getuid?.() === 0

describe('the embedded database', () => {
  const undo: (() => Promise<unknown>)[] = []
  afterEach(async () => {
    for (const step of undo.splice(0).reverse()) await step()
  })

  async function dataFolder(...below: string[]): Promise<string> {
    const folder = await scratchFolder()
    undo.push(folder.remove)
    return join(folder.path, ...below, 'data')
  }

  async function open(dataDir: string, purpose: 'broker' | 'tool' = 'broker'): Promise<Store> {
    const store = await openEmbeddedStore(dataDir, purpose)
    undo.push(() => store.close())
    return store
  }

  /** Another process that opens the store; resolves with it and its first line. */
  async function hold(dataDir: string, purpose = 'broker'): Promise<{ child: ChildProcess; line: string }> {
    const file = join(import.meta.dirname, '../helpers/store-holder.ts')
    const child = spawn(process.execPath, ['--import', 'tsx', file, dataDir, purpose], {
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    undo.push(async () => child.kill('SIGKILL'))
    const [chunk] = (await once(child.stdout, 'data')) as [Buffer]
    return { child, line: chunk.toString().trim() }
  }

  const pidOf = async (dataDir: string) => (await readClaim(join(dataDir, 'postgres')))?.pid ?? 0
  const runs = (dataDir: string) => isClaimed(join(dataDir, 'postgres'))

  it('is made at the first start, stopped at the end, and found as it was', async () => {
    const dataDir = await dataFolder()
    const first = await openEmbeddedStore(dataDir)
    const { name } = await someAccount(first)
    const head = await readFile(join(dataDir, 'postgres', 'postmaster.pid'), 'utf8')
    // No TCP: the line of the first listening address is empty.
    expect(head.split('\n')[5]?.trim()).toBe('')
    await Promise.all([first.close(), first.close()])
    expect(await runs(dataDir)).toBe(false)
    expect((await readdir(dataDir)).sort()).toEqual(['postgres', 'postgres.log'])
    const second = await open(dataDir)
    expect(await second.accounts.byName(name)).not.toBeNull()
  })

  it('lets nobody else in: cluster and socket are private', async () => {
    const dataDir = await dataFolder()
    await open(dataDir)
    const { socketFolder } = (await readClaim(join(dataDir, 'postgres'))) ?? {}
    expect(socketFolder).toBe(join(dataDir, 'postgres'))
    expect((await stat(join(dataDir, 'postgres'))).mode & 0o777).toBe(0o700)
    expect((await stat(join(dataDir, 'postgres.log'))).mode & 0o077).toBe(0)
  })

  it('has one broker at a time, and tools beside it', async () => {
    const dataDir = await dataFolder()
    const broker = await open(dataDir)
    const refusal = await openEmbeddedStore(dataDir).catch((error: unknown) => error)
    expect(refusal).toBeInstanceOf(StoreStartError)
    expect(String(refusal)).toContain(`Another ClearBox runs on the data folder ${dataDir}`)
    const tool = await openEmbeddedStore(dataDir, 'tool')
    const { name } = await someAccount(tool)
    await tool.close()
    expect(await broker.accounts.byName(name)).not.toBeNull()
    expect((await hold(dataDir)).line).toMatch(/^refused: Another ClearBox runs/)
  })

  it('is started by a tool when nothing runs, and stopped by the last one that leaves', async () => {
    const dataDir = await dataFolder()
    const [one, two] = await Promise.all([openEmbeddedStore(dataDir, 'tool'), openEmbeddedStore(dataDir, 'tool')])
    await someAccount(one)
    await one.close()
    expect(await runs(dataDir)).toBe(true)
    await someAccount(two)
    await two.close()
    expect(await runs(dataDir)).toBe(false)
  })

  it('starts for a broker also while a tool is just stopping it', async () => {
    const dataDir = await dataFolder()
    for (let turn = 0; turn < 5; turn++) {
      const tool = await openEmbeddedStore(dataDir, 'tool')
      const [broker] = await Promise.all([openEmbeddedStore(dataDir), tool.close()])
      await broker.ping()
      await broker.close()
      expect(await runs(dataDir)).toBe(false)
    }
  })

  it('outlives a killed broker and is taken over as it is', async () => {
    const dataDir = await dataFolder()
    const { child, line } = await hold(dataDir)
    expect(line).toBe('open')
    const pid = await pidOf(dataDir)
    child.kill('SIGKILL')
    await once(child, 'exit')
    await open(dataDir)
    expect(await pidOf(dataDir)).toBe(pid)
  })

  it('comes back when both were killed, also when its process id belongs to another process now', async () => {
    const dataDir = await dataFolder()
    const { child } = await hold(dataDir)
    const tool = await openEmbeddedStore(dataDir, 'tool')
    const { name } = await someAccount(tool)
    child.kill('SIGKILL')
    process.kill(await pidOf(dataDir), 'SIGKILL')
    await tool.close()
    await eventually(async () => !(await runs(dataDir)))
    const owner = await stat(join(dataDir, 'postgres'))
    const ids = isRoot && owner.uid !== 0 ? { uid: owner.uid, gid: owner.gid } : {}
    const stranger = spawn('sleep', ['60'], { ...ids, cwd: '/', stdio: 'ignore' })
    undo.push(async () => stranger.kill('SIGKILL'))
    for (const file of ['postmaster.pid', '.s.PGSQL.5432.lock']) {
      const path = join(dataDir, 'postgres', file)
      await writeFile(path, (await readFile(path, 'utf8')).replace(/^\d+/, String(stranger.pid)))
    }
    const store = await open(dataDir)
    expect(await store.accounts.byName(name)).not.toBeNull()
  })

  it('is started again when it dies under the broker; what was answered is there', async () => {
    const dataDir = await dataFolder()
    const store = await open(dataDir)
    const { id } = await someAccount(store)
    const answered: string[] = []
    const batch = () => Array.from({ length: 20 }, () => someMessage(id, id))
    let killed = false
    const append = async (messages = batch()): Promise<void> => {
      const outcomes = await store.archive.append(messages).catch((error: unknown) => {
        expect(error).toBeInstanceOf(TransientStoreError)
        return null
      })
      if (outcomes === null) return eventually(() => store.ping()).then(() => append(messages))
      answered.push(...outcomes.map((outcome) => (outcome instanceof Error ? outcome.message : outcome.id)))
      return killed && answered.length > 600 ? undefined : append()
    }
    const lanes = [append(), append()]
    await eventually(() => answered.length > 300)
    process.kill(await pidOf(dataDir), 'SIGKILL')
    killed = true
    await Promise.all(lanes)
    const rows = await eventually(() => store.archive.read(id, 0, 100_000))
    expect(rows.map(({ seq }) => seq)).toEqual(rows.map((_, n) => n + 1))
    expect(rows.map((row) => row.id).sort()).toEqual(answered.sort())
  })

  it('has its socket elsewhere when the path is too long for one', async () => {
    const dataDir = await dataFolder('long'.repeat(20))
    await mkdir(join(dataDir, '..'), { recursive: true })
    const store = await openEmbeddedStore(dataDir)
    const { name } = await someAccount(store)
    const folder = (await readClaim(join(dataDir, 'postgres')))?.socketFolder ?? ''
    undo.push(() => rm(folder, { recursive: true }))
    expect(folder.startsWith(dataDir)).toBe(false)
    expect((await stat(folder)).mode & 0o777).toBe(0o700)
    const tool = await openEmbeddedStore(dataDir, 'tool')
    expect(await tool.accounts.byName(name)).not.toBeNull()
    await tool.close()
    await store.close()
    await chmod(folder, 0o755)
    await expect(openEmbeddedStore(dataDir)).rejects.toThrow(/not a private folder/)
  })

  it('refuses data of another major version and names the way out', async () => {
    const dataDir = await dataFolder()
    const store = await openEmbeddedStore(dataDir)
    await store.close()
    await writeFile(join(dataDir, 'postgres', 'PG_VERSION'), '13\n')
    await expect(openEmbeddedStore(dataDir)).rejects.toThrow(/made by PostgreSQL 13.*clearbox export/)
  })

  it('removes what an interrupted first start has left', async () => {
    const dataDir = await dataFolder()
    const left = join(dataDir, 'postgres.new-4194304-00000000')
    await mkdir(left, { recursive: true })
    if (isRoot) await chmod(dataDir, 0o711)
    await writeFile(join(left, 'PG_VERSION'), '18\n')
    await open(dataDir)
    expect((await readdir(dataDir)).sort()).toEqual(['postgres', 'postgres.log'])
  })

  it('names a configured folder without PostgreSQL', async () => {
    const dataDir = await dataFolder()
    await expect(openEmbeddedStore(dataDir, 'broker', dataDir)).rejects.toThrow(`No PostgreSQL that runs here is in`)
  })

  it('runs for root as `nobody` or in a user namespace, for others as themselves, and so again', async () => {
    const dataDir = await dataFolder()
    const cluster = join(dataDir, 'postgres')
    await (await openEmbeddedStore(dataDir)).close()
    const { uid } = await stat(cluster)
    const nobody = /^nobody:[^:]*:(\d+):/m.exec(await readFile('/etc/passwd', 'utf8'))?.[1]
    expect(isRoot ? [0, Number(nobody)] : [process.getuid?.()]).toContain(uid)
    await open(dataDir)
    expect((await stat(cluster)).uid).toBe(uid)
    expect((await stat(join(cluster, '.s.PGSQL.5432'))).uid).toBe(uid)
  })

  it('runs in a home folder that nobody else may enter', async () => {
    const dataDir = await dataFolder('home')
    await mkdir(join(dataDir, '..'), { recursive: true })
    await chmod(join(dataDir, '..'), 0o700)
    const opened = await open(dataDir).catch((error: unknown) => error)
    if (opened instanceof Error) {
      // Container engines often forbid user namespaces; only root needs one.
      expect(isRoot).toBe(true)
      expect(opened).toBeInstanceOf(StoreStartError)
      expect(opened.message).toMatch(/another user.*CLEARBOX_DATABASE_URL/s)
      return
    }
    expect((await stat(join(dataDir, 'postgres'))).uid).toBe(process.getuid?.())
  })
})
