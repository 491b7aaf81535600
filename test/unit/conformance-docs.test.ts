// docs/mqtt-conformance*.md: every statement has one row, and the tests that the rows name exist.
import { existsSync, readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { statements5, statements311 } from '../vectors/mqtt-statements.ts'

const documents = [
  ['docs/mqtt-conformance.md', statements5],
  ['docs/mqtt-conformance-3.1.1.md', statements311],
] as const

describe.each(documents.filter(([file]) => existsSync(file)))('%s', (file, statements) => {
  const rows = readFileSync(file, 'utf8')
    .split('\n')
    .filter((line) => line.startsWith('| MQTT-'))
    .map((line) => line.split('|').map((cell) => cell.trim()))

  it('has each statement once, and no other', () => {
    const named = rows.map(([, statement = '']) => statement)
    expect(named.toSorted()).toEqual([...statements].toSorted())
  })

  it('names tests that exist, or says why there is none', () => {
    const missing = rows.flatMap(([, statement = '', , , tests = '']) =>
      faults(tests).map((fault) => `${statement}: ${fault}`),
    )
    expect(missing).toEqual([])
  })
})

function faults(tests: string): string[] {
  const named = tests.split('<br>').filter((test) => test.includes(' › '))
  if (named.length === 0 && !/client’s duty|does not apply/.test(tests)) return [`no test: ${tests}`]
  return named.filter((test) => !exists(test))
}

/** `file › title`, the file below test/, the title as it stands in the source. */
function exists(test: string): boolean {
  const [file = '', ...title] = test.trim().replaceAll('`', '').split(' › ')
  const path = `test/${file.replace(/^test\//, '')}`
  if (!existsSync(path)) return false
  const source = readFileSync(path, 'utf8').replaceAll('`', '')
  const name = title.join(' › ')
  return ["'", '"'].some((quote) => source.includes(`${quote}${name}${quote}`))
}
