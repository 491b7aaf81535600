// The contract suites of storage, on a PostgreSQL server that is not ours.
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll } from 'vitest'
import { startPostgres } from '../helpers/postgres-server.ts'

const server = await startPostgres()
afterAll(() => server.dispose())
process.env.CLEARBOX_TEST_DATABASE_URL = server.url('postgres')

const folder = join(import.meta.dirname, '../contract')
const suites = (await readdir(folder)).filter((name) => /^store-(?!embedded).*\.test\.ts$/.test(name))
for (const name of suites) await import(join(folder, name))
