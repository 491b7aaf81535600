// The built command line as a process of its own; `npm test` builds it first.
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { text } from 'node:stream/consumers'

export type Ended = Readonly<{ code: number | null; out: string; err: string }>

const program = new URL('../../bin/clearbox.js', import.meta.url).pathname

/** `env` is all that it gets of settings, whatever this process has. */
export function spawnClearbox(args: readonly string[], cwd: string, env: Record<string, string> = {}): ChildProcess {
  const own = Object.entries(process.env).filter(([name]) => !name.startsWith('CLEARBOX_'))
  return spawn(process.execPath, [program, ...args], {
    cwd,
    env: { ...Object.fromEntries(own), ...env },
    stdio: ['pipe', 'pipe', 'pipe'],
  })
}

export async function runClearbox(
  args: readonly string[],
  { cwd, env = {}, input = '' }: { cwd: string; env?: Record<string, string>; input?: string },
): Promise<Ended> {
  const child = spawnClearbox(args, cwd, env)
  child.stdin?.on('error', () => undefined)
  child.stdin?.end(input)
  const [out, err, [code]] = await Promise.all([
    child.stdout ? text(child.stdout) : '',
    child.stderr ? text(child.stderr) : '',
    once(child, 'close') as Promise<[number | null]>,
  ])
  return { code, out, err }
}
