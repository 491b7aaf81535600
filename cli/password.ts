// A password from a person or from a pipe; never from the command line, where every process can see it.
import { createInterface } from 'node:readline'
import { Writable } from 'node:stream'
import { preparePassword } from '../broker/auth/scram.ts'
import { CliError } from './cli-error.ts'

const maxInputBytes = 64 * 1024

/** @throws CliError */
export async function readPassword(fromStdin: boolean): Promise<string> {
  const password = fromStdin ? await readAll() : await askTwice()
  if (preparePassword(password) === null) {
    throw new CliError('A password has 1 to 1023 bytes and no control characters or line breaks.')
  }
  return password
}

/** Without the line break at the end that `echo` adds. */
async function readAll(): Promise<string> {
  const chunks: Buffer[] = []
  let size = 0
  for await (const chunk of process.stdin) {
    const bytes = Buffer.from(chunk as Uint8Array)
    size += bytes.length
    if (size > maxInputBytes) throw new CliError('Standard input has more than a password.')
    chunks.push(bytes)
  }
  return Buffer.concat(chunks)
    .toString('utf8')
    .replace(/\r?\n$/, '')
}

async function askTwice(): Promise<string> {
  if (!process.stdin.isTTY) {
    throw new CliError('There is no terminal to ask for the password: give it with --password-stdin.', 2)
  }
  const first = await ask('Password: ')
  if (first === (await ask('Again: '))) return first
  throw new CliError('The two passwords are not the same; nothing was changed.')
}

/** Shows the question on standard error and nothing of the answer. */
function ask(question: string): Promise<string> {
  const silence = new Writable({ write: (_chunk, _encoding, done) => done() })
  const lines = createInterface({ input: process.stdin, output: silence, terminal: true, historySize: 0 })
  process.stderr.write(question)
  return new Promise((resolve, reject) => {
    lines.once('SIGINT', () => lines.close())
    lines.once('close', () => {
      process.stderr.write('\n')
      reject(new CliError('No password was given; nothing was changed.'))
    })
    lines.question('', (answer) => {
      resolve(answer)
      lines.close()
    })
  })
}
