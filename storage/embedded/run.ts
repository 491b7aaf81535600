// One short child process, and the bare environment in which children of the store run.
import { type SpawnOptions, spawn } from 'node:child_process'

export type Outcome = Readonly<{ status: number | null; output: string }>

/** Nothing of our own environment: it holds passwords, and `PG…` variables that would change what a child does. */
export function childEnvironment(): NodeJS.ProcessEnv {
  return { PATH: process.env.PATH ?? '/usr/bin:/bin', LC_ALL: 'C', TZ: 'UTC' }
}

/** Runs to the end; both outputs together. Rejects when the program cannot be started at all. */
export function run(command: string, args: readonly string[], options: SpawnOptions = {}): Promise<Outcome> {
  return new Promise((settle, reject) => {
    // `cwd`: PostgreSQL's programs fail in a folder that their user may not enter.
    const child = spawn(command, [...args], {
      cwd: '/',
      env: childEnvironment(),
      ...options,
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    const chunks: Buffer[] = []
    child.stdout?.on('data', (chunk: Buffer) => chunks.push(chunk))
    child.stderr?.on('data', (chunk: Buffer) => chunks.push(chunk))
    child.once('error', reject)
    child.once('close', (status) => settle({ status, output: Buffer.concat(chunks).toString() }))
  })
}
