// Programs from Debian as XMPP devices.
import { type ChildProcess, spawn } from 'node:child_process'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { domain } from '../script/xmpp-client.ts'

const waitMs = 20_000
const script = fileURLToPath(new URL('xmpp-conversation.py', import.meta.url))

export type DeviceEvent = Readonly<{ event: string; [detail: string]: unknown }>

export type Device = Readonly<{
  say(command: string): void
  /** The next event of this name; what comes before it is dropped. */
  until(event: string): Promise<DeviceEvent>
  quit(): Promise<void>
}>

type Account = Readonly<{ name: string; password: string }>

/** slixmpp; `resource` '' lets the server choose, `mechanism` '' the client. */
export function startSlixmpp(port: number, account: Account, resource = '', mechanism = ''): Device {
  const jid = `${account.name}@${domain}${resource && `/${resource}`}`
  const child = spawn('/usr/bin/python3', [script, jid, account.password, String(port), mechanism], {
    stdio: ['pipe', 'pipe', 'ignore'],
  })
  const events: DeviceEvent[] = []
  let wake = () => {}
  createInterface(child.stdout).on('line', (line) => {
    events.push(JSON.parse(line) as DeviceEvent)
    wake()
  })
  child.once('exit', () => wake())
  return {
    say: (command) => void child.stdin.write(`${command}\n`),
    async until(name) {
      for (;;) {
        const event = events.shift()
        if (event?.event === name) return event
        if (event !== undefined) continue
        if (child.exitCode !== null) throw new Error(`slixmpp ended before ${name}`)
        await soon((done) => {
          wake = done
        }, name)
      }
    },
    async quit() {
      child.stdin.end()
      if (child.exitCode === null) await new Promise((resolve) => child.once('exit', resolve))
    },
  }
}

function soon(register: (done: () => void) => void, what: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error(`no ${what} in time`)), waitMs)
    register(() => {
      clearTimeout(timer)
      resolve()
    })
  })
}

function sendXmpp(port: number, { name, password }: Account, more: readonly string[]): ChildProcess {
  const login = ['--no-tls-verify', '-j', `127.0.0.1:${port}`, '-u', `${name}@${domain}`, '-p', password]
  return spawn('go-sendxmpp', [...login, ...more], { stdio: ['pipe', 'pipe', 'pipe'] })
}

/** go-sendxmpp with a message on standard input. Rejects with what it said on standard error. */
export async function sendByGo(port: number, account: Account, to: string, text: string): Promise<void> {
  const child = sendXmpp(port, account, [`${to}@${domain}`])
  let complaint = ''
  child.stderr?.on('data', (bytes: Buffer) => {
    complaint += bytes.toString()
  })
  child.stdin?.end(text)
  const code = await new Promise((resolve) => child.once('exit', resolve))
  if (code !== 0) throw new Error(`go-sendxmpp: ${complaint}`)
}

/** go-sendxmpp that listens: `next` is the next line that it prints. */
export function listenByGo(port: number, account: Account): Readonly<{ next(): Promise<string>; stop(): void }> {
  const child = sendXmpp(port, account, ['--listen'])
  const lines: string[] = []
  let wake = () => {}
  if (child.stdout === null) throw new Error('no output')
  createInterface(child.stdout).on('line', (line) => {
    lines.push(line)
    wake()
  })
  return {
    async next() {
      for (;;) {
        const line = lines.shift()
        if (line !== undefined) return line
        await soon((done) => {
          wake = done
        }, 'line')
      }
    },
    stop: () => void child.kill(),
  }
}
