import { readdirSync, readFileSync } from 'node:fs'
import { afterAll, beforeAll, describe, it } from 'vitest'
import { startTestBroker, type TestBroker } from '../helpers/broker.ts'
import { perform, readPlays } from './play.ts'

const folder = new URL('plays/', import.meta.url)

let broker: TestBroker
beforeAll(async () => {
  broker = await startTestBroker()
})
afterAll(() => broker.stop())

describe.each(readdirSync(folder))('%s', (file) => {
  it.each(readPlays(readFileSync(new URL(file, folder), 'utf8')))('$title', (play) => perform(play, broker))
})
