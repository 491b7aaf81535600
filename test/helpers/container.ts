// What `docker run` does, where there is no container engine: the image's program as process 1 of its own process,
// mount and network namespaces, as its own user, on a root that cannot be written to.
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import { eventually } from './eventually.ts'
import { chrootWords, enterScript, type Image, toAssignments } from './image.ts'
import { type Exit, isAlive } from './process.ts'

export type ContainerOptions = Readonly<{
  env?: Readonly<Record<string, string>>
  /** Default: the image's command. */
  args?: readonly string[]
  /** Folders of this machine, by their place in the container. They are writable; each has its owner already. */
  mounts: Readonly<Record<string, string>>
}>

export type Ended = Exit & Readonly<{ output: string }>

export type Container = Readonly<{
  output: () => string
  exited: Promise<Exit>
  /** A program in the container, as its user: `docker exec`. */
  exec: (program: readonly string[], input?: string) => Promise<Ended>
  /** A program of this machine in the container's network, where the ports are the image's own. */
  beside: (program: readonly string[], input?: string) => Promise<Ended>
  /** The user that process 1 runs as. */
  uid: () => Promise<number>
  /** Sends SIGTERM to process 1 and waits for the end. */
  stop: () => Promise<Exit>
  /** Ends whatever is left of it. */
  dispose: () => Promise<void>
}>

/** Resolves when process 1 has said `ready`. @throws Error with what it said when it ended instead */
export async function startContainer(image: Image, options: ContainerOptions): Promise<Container> {
  const env = toAssignments({ ...image.env, HOME: '/data', ...options.env })
  const words = [...chrootWords(image.layer, image.user, image.workdir), ...env, ...image.entrypoint]
  const flags = ['--mount', '--pid', '--net', '--fork', '--kill-child']
  const child = spawn(
    'unshare',
    [...flags, 'sh', '-ec', runScript(image, options.mounts), 'sh', ...words, ...(options.args ?? image.command)],
    { stdio: ['ignore', 'pipe', 'pipe'] },
  )
  const { output, exited } = follow(child)
  const first = await Promise.race([firstProcess(child, output), exited])
  if (typeof first !== 'number') throw new Error(`the container ended with ${first.code}: ${output()}`)
  const network = ['nsenter', `--target=${first}`, '--net']
  const inside = [...network, '--mount', '--pid', `--root=/proc/${first}/root`, '--']
  const [uid = '', gid = ''] = image.user.split(':')
  const asUser = ['setpriv', `--reuid=${uid}`, `--regid=${gid}`, '--clear-groups', 'env', '-i', '-C', image.workdir]

  return {
    output,
    exited,
    exec: (program, input) => run([...inside, ...asUser, ...env, ...program], input),
    beside: (program, input) => run([...network, '--', ...program], input),
    async uid() {
      const status = await readFile(`/proc/${first}/status`, 'utf8')
      return Number(/^Uid:\s+(\d+)/m.exec(status)?.[1])
    },
    async stop() {
      process.kill(first, 'SIGTERM')
      return exited
    },
    async dispose() {
      child.kill('SIGKILL')
      await exited
      await eventually(() => !isAlive(first))
    },
  }
}

function runScript({ layer }: Image, mounts: Readonly<Record<string, string>>): string {
  const binds = Object.entries(mounts).map(
    ([place, folder]) => `mkdir -p ".${place}"; mount --bind "${folder}" ".${place}"`,
  )
  return [enterScript(layer), ...binds, 'ip link set lo up', 'mount -o remount,bind,ro .', 'exec "$@"'].join('\n')
}

/** The process that `unshare` has made, once the broker in it is ready. */
async function firstProcess(child: ChildProcess, output: () => string): Promise<number> {
  await eventually(() => output().includes('"msg":"ready"'), 30_000)
  const children = await readFile(`/proc/${child.pid}/task/${child.pid}/children`, 'utf8')
  return Number(children.trim())
}

function follow(child: ChildProcess): Readonly<{ output: () => string; exited: Promise<Exit> }> {
  let said = ''
  for (const stream of [child.stdout, child.stderr]) {
    stream?.setEncoding('utf8').on('data', (text: string) => {
      said += text
    })
  }
  const exited = once(child, 'close').then(([code, signal]) => ({ code, signal }) as Exit)
  return { output: () => said, exited }
}

async function run([command = '', ...args]: readonly string[], input = ''): Promise<Ended> {
  const child = spawn(command, args, { stdio: ['pipe', 'pipe', 'pipe'] })
  const { output, exited } = follow(child)
  child.stdin.end(input)
  return { ...(await exited), output: output() }
}
