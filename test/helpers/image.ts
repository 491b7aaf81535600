// What `docker build` does, where there is no container engine: the Dockerfile's own steps, each in a root of its own.
// This machine stands for the base image: it is the lower layer of an overlay, and stays as it is.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, readFile } from 'node:fs/promises'
import { homedir } from 'node:os'
import { join, posix } from 'node:path'
import {
  createContextFilter,
  type Instruction,
  readAssignment,
  readAssignments,
  readDockerfile,
  readExec,
  type Stage,
  substitute,
} from './dockerfile.ts'
import { root } from './process.ts'
import { scratchFolder } from './scratch-folder.ts'

/** A stage's own layer. It is mounted by `enterScript` for as long as a process runs in it. */
export type Layer = Readonly<{ upper: string; work: string; mount: string }>

export type Image = Readonly<{
  layer: Layer
  env: Readonly<Record<string, string>>
  labels: Readonly<Record<string, string>>
  /** `uid:gid` */
  user: string
  workdir: string
  ports: readonly number[]
  volumes: readonly string[]
  healthcheck: readonly string[]
  entrypoint: readonly string[]
  command: readonly string[]
  remove: () => Promise<void>
}>

const ways = /^(npm_config_(registry|cache|userconfig)|https?_proxy|no_proxy|NODE_EXTRA_CA_CERTS)$/i

type Made = { -readonly [K in keyof Omit<Image, 'remove'>]: Image[K] }

type Build = Readonly<{ folder: string; stages: Map<string, Made>; mayCopy: (path: string) => boolean }>

/** @throws Error with what a step said when it failed */
export async function buildImage(): Promise<Image> {
  const scratch = await scratchFolder()
  const mayCopy = createContextFilter(await readFile(join(root, '.dockerignore'), 'utf8'))
  const build: Build = { folder: scratch.path, stages: new Map(), mayCopy }
  const stages = readDockerfile(await readFile(join(root, 'Dockerfile'), 'utf8'))
  try {
    for (const stage of stages) build.stages.set(stage.name, await buildStage(stage, build))
  } catch (fault) {
    await scratch.remove()
    throw fault
  }
  const made = build.stages.get(stages.at(-1)?.name ?? '')
  if (made === undefined) throw new Error('the Dockerfile has no stage')
  return { ...made, remove: scratch.remove }
}

async function buildStage(stage: Stage, build: Build): Promise<Made> {
  if (!/^node:\d+-\w+-slim$/.test(stage.base)) throw new Error(`this machine cannot stand for ${stage.base}`)
  const made: Made = {
    layer: await makeLayer(join(build.folder, stage.name)),
    env: { PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin' },
    labels: {},
    user: '0:0',
    workdir: '/',
    ports: [],
    volumes: [],
    healthcheck: [],
    entrypoint: [],
    command: [],
  }
  const args = new Map<string, string>()
  for (const instruction of stage.instructions) await perform(instruction, made, build, args)
  return made
}

async function makeLayer(folder: string): Promise<Layer> {
  const layer = { upper: join(folder, 'upper'), work: join(folder, 'work'), mount: join(folder, 'mount') }
  for (const path of Object.values(layer)) await mkdir(path, { recursive: true })
  return layer
}

async function perform({ keyword, rest }: Instruction, made: Made, build: Build, args: Map<string, string>) {
  const text = substitute(rest, args)
  if (keyword === 'ARG') args.set(...readAssignment(rest))
  else if (keyword === 'ENV') made.env = { ...made.env, ...Object.fromEntries(readAssignments(text)) }
  else if (keyword === 'LABEL') made.labels = { ...made.labels, ...Object.fromEntries(readAssignments(text)) }
  else if (keyword === 'USER') made.user = text
  else if (keyword === 'EXPOSE') made.ports = text.split(/\s+/).map(Number)
  else if (keyword === 'VOLUME') made.volumes = [...made.volumes, text]
  else if (keyword === 'HEALTHCHECK') made.healthcheck = readExec(rest.slice(rest.indexOf('CMD ') + 4))
  else if (keyword === 'ENTRYPOINT') made.entrypoint = readExec(rest)
  else if (keyword === 'CMD') made.command = readExec(rest)
  else if (keyword === 'COPY') await copy(text, made, build)
  else if (keyword === 'RUN') await inRoot(made, ['/bin/sh', '-c', rest])
  else {
    made.workdir = text
    await inRoot({ ...made, user: '0:0', workdir: '/' }, ['mkdir', '-p', text])
  }
}

/** Folders by what is in them, as COPY does; never what `.dockerignore` keeps out. */
async function copy(text: string, made: Made, build: Build): Promise<void> {
  const words = text.split(/\s+/)
  const from = words[0]?.startsWith('--from=') ? build.stages.get((words.shift() ?? '').slice('--from='.length)) : null
  if (from === undefined || words[0]?.startsWith('--')) throw new Error(`COPY ${text} is not known here`)
  const target = words.pop() ?? ''
  const refused = from === null ? words.filter((source) => !build.mayCopy(source)) : []
  if (refused.length > 0) throw new Error(`.dockerignore keeps out ${refused.join(', ')}`)
  const folder = made.layer.mount + posix.resolve(made.workdir, target)
  const script = `${from === null ? '' : mountScript(from.layer)}
${mountScript(made.layer)}
cd "${from === null ? root : from.layer.mount}"
mkdir -p "${folder}"
for source in ${words.map((word) => word.replace(/^\//, '')).join(' ')}; do
  [ ! -d "$source" ] || source="$source/."
  cp -a --no-preserve=ownership "$source" "${folder}"
done`
  await shell(script)
}

/** Mounts the layer over this machine's root, in the mount namespace that the script runs in. */
function mountScript({ upper, work, mount }: Layer): string {
  return `mount -t overlay overlay -o "lowerdir=/,upperdir=${upper},workdir=${work}" "${mount}"`
}

/** With devices, an empty /tmp, and without this repository: an image has what was copied into it. */
export function enterScript(layer: Layer): string {
  return `set -e
${mountScript(layer)}
cd "${layer.mount}"
mount -t proc proc proc
mount --rbind /dev dev
mount -t tmpfs -o mode=1777 tmpfs tmp
[ ! -d ".${root}" ] || mount -t tmpfs tmpfs ".${root}"`
}

/** The words of a shell that run a program in the mounted root as a user, with this environment and no other. */
export function chrootWords(layer: Layer, user: string, workdir: string): readonly string[] {
  return ['chroot', `--userspec=${user}`, '--groups=', layer.mount, '/usr/bin/env', '-i', '-C', workdir]
}

export const toAssignments = (env: Readonly<Record<string, string>>) =>
  Object.entries(env).map(([name, value]) => `${name}=${value}`)

/** npm takes from its cache what it has, and reaches its registry as it does outside. */
const buildEnv = {
  ...Object.fromEntries(Object.entries(process.env).filter(([name]) => ways.test(name))),
  HOME: homedir(),
  npm_config_prefer_offline: 'true',
  npm_config_update_notifier: 'false',
}

async function inRoot(made: Made, program: readonly string[]): Promise<void> {
  const env = toAssignments({ ...buildEnv, ...made.env } as Record<string, string>)
  await shell(`${enterScript(made.layer)}\nexec "$@"`, [
    ...chrootWords(made.layer, made.user, made.workdir),
    ...env,
    ...program,
  ])
}

async function shell(script: string, args: readonly string[] = []): Promise<void> {
  const child = spawn('unshare', ['--mount', 'sh', '-ec', script, 'sh', ...args], { stdio: ['ignore', 'pipe', 'pipe'] })
  let said = ''
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text: string) => {
      said += text
    })
  }
  const [code] = await once(child, 'close')
  if (code !== 0) throw new Error(`${args.slice(-2).join(' ') || script} ended with ${code}:\n${said.slice(-4000)}`)
}
