// mosquitto_pub, mosquitto_sub and curl, as a person at a shell uses them.
import { execFile, spawn } from 'node:child_process'
import { createInterface } from 'node:readline'
import { promisify } from 'node:util'
import { passwordOf, type Server } from '../helpers/process.ts'

const run = promisify(execFile)

function reach(server: Server, account: string): readonly string[] {
  return ['-h', '127.0.0.1', '-p', String(server.ports.mqtt), '-u', account, '-P', passwordOf(account)]
}

/** Resolves when it is acknowledged. */
export async function publish(server: Server, account: string, topic: string, text: string, qos = 1): Promise<void> {
  await run('mosquitto_pub', [...reach(server, account), '-q', String(qos), '-t', topic, '-m', text])
}

export type Shown = Readonly<{ topic: string; text: string }>

export type Subscriber = Readonly<{
  shown: readonly Shown[]
  /** The first message, shown already or not, that fits. */
  until: (fits: (shown: Shown) => boolean) => Promise<Shown>
  /** Resolves when it has ended, as with `-C` it does by itself. */
  exited: Promise<void>
  /** As Ctrl-C does. */
  stop: () => Promise<void>
}>

/** `mosquitto_sub -q 1`, or what `options` say; resolves when its subscriptions are acknowledged. */
export async function subscribe(
  server: Server,
  account: string,
  topics: readonly string[],
  options: readonly string[] = [],
): Promise<Subscriber> {
  const filters = topics.flatMap((topic) => ['-t', topic])
  const args = [...reach(server, account), '-q', '1', '-d', '-F', '> %t %p', ...filters, ...options]
  // What -d says stays in a buffer otherwise.
  const child = spawn('stdbuf', ['-oL', 'mosquitto_sub', ...args], { stdio: ['ignore', 'pipe', 'inherit'] })
  const exited = new Promise<void>((resolve) => child.once('close', () => resolve()))
  const shown: Shown[] = []
  const waiting: Readonly<{ fits: (shown: Shown) => boolean; resolve: (shown: Shown) => void }>[] = []

  function take(line: string): void {
    const [, topic = '', ...words] = line.split(' ')
    const message = { topic, text: words.join(' ') }
    shown.push(message)
    for (const { fits, resolve } of waiting) if (fits(message)) resolve(message)
  }

  await new Promise<void>((resolve, reject) => {
    createInterface(child.stdout).on('line', (line) => {
      if (line.startsWith('Subscribed')) resolve()
      if (line.startsWith('> ')) take(line)
    })
    void exited.then(() => reject(new Error(`mosquitto_sub of ${account} ended`)))
  })
  return {
    shown,
    exited,
    until(fits) {
      const found = shown.find(fits)
      if (found) return Promise.resolve(found)
      return new Promise((resolve) => waiting.push({ fits, resolve }))
    },
    stop() {
      child.kill('SIGINT')
      return exited
    },
  }
}

/** What curl prints, as JSON. */
export async function curl(url: string, token: string | null, body?: unknown): Promise<Record<string, unknown>> {
  const bearer = token === null ? [] : ['-H', `authorization: Bearer ${token}`]
  const sending = body === undefined ? [] : ['-H', 'content-type: application/json', '-d', JSON.stringify(body)]
  const { stdout } = await run('curl', ['-sS', '--fail-with-body', url, ...bearer, ...sending])
  return JSON.parse(stdout) as Record<string, unknown>
}
