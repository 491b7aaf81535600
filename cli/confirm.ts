import { createInterface } from 'node:readline/promises'
import { CliError } from './cli-error.ts'

/** @throws CliError unless a person says yes */
export async function confirm(question: string): Promise<void> {
  if (!process.stdin.isTTY) throw new CliError(`${question}\nThere is no terminal to ask: say --yes.`, 2)
  const lines = createInterface({ input: process.stdin, output: process.stderr })
  try {
    const answer = await lines.question(`${question} [y/N] `)
    if (!/^y(es)?$/i.test(answer.trim())) throw new CliError('Nothing was changed.')
  } finally {
    lines.close()
  }
}
