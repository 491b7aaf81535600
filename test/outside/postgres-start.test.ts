// A PostgreSQL server that others run: TLS, rights, and what is said when it cannot be used.
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { makeSelfSigned } from '../../broker/self-signed.ts'
import { migrate } from '../../storage/migrate.ts'
import { StoreStartError } from '../../storage/start-error.ts'
import { type PostgresServer, startPostgres } from '../helpers/postgres-server.ts'
import { type ScratchFolder, scratchFolder } from '../helpers/scratch-folder.ts'
import { openExternalStore, someAccount } from '../helpers/store.ts'

const day = 86_400_000
const certificate = (name: string) =>
  makeSelfSigned({ names: [name], notBefore: new Date(Date.now() - day), notAfter: new Date(Date.now() + day) })

let server: PostgresServer
let folder: ScratchFolder
const files = { right: '', other: '' }
beforeAll(async () => {
  const own = certificate('127.0.0.1')
  server = await startPostgres({ tls: own })
  folder = await scratchFolder()
  files.right = join(folder.path, 'right.pem')
  files.other = join(folder.path, 'other.pem')
  await writeFile(files.right, own.cert)
  await writeFile(files.other, certificate('127.0.0.1').cert)
})
afterAll(async () => {
  await server.dispose()
  await folder.remove()
})

async function refusal(url: string): Promise<string> {
  const fault: unknown = await openExternalStore(url).then(
    async (store) => store.close(),
    (error: unknown) => error,
  )
  expect(fault).toBeInstanceOf(StoreStartError)
  return String(fault)
}

/** How the store's own connections are seen by the server. */
const encrypted = () =>
  server.sql<{ ssl: boolean }>(
    `SELECT DISTINCT s.ssl FROM pg_stat_ssl s JOIN pg_stat_activity a USING (pid) WHERE a.application_name LIKE 'clearbox%'`,
  )

describe('TLS as the URL wishes it', () => {
  it.each([
    ['sslmode=disable', false],
    ['sslmode=require', true],
    ['sslmode=verify-full&sslrootcert=RIGHT', true],
    ['sslmode=verify-ca&sslrootcert=RIGHT', true],
  ])('%s', async (query, isEncrypted) => {
    const url = await server.createDatabase()
    const store = await openExternalStore(`${url}?${query.replace('RIGHT', encodeURIComponent(files.right))}`)
    await someAccount(store)
    expect(await encrypted()).toEqual([{ ssl: isEncrypted }])
    await store.close()
  })

  it.each([
    ['verify-full with the authorities of the system', 'sslmode=verify-full', 'is self-signed; name it in sslrootcert'],
    ['verify-full with another certificate', 'sslmode=verify-full&sslrootcert=OTHER', 'self-signed'],
    ['a file that is not there', 'sslmode=verify-full&sslrootcert=/none.pem', '/none.pem cannot be read (ENOENT)'],
    ['prefer, which could end in clear text', 'sslmode=prefer', 'expected disable, require, verify-ca, verify-full'],
  ])('refuses %s', async (_name, query, words) => {
    const url = `${server.url('postgres')}?${query.replace('OTHER', encodeURIComponent(files.other))}`
    expect(await refusal(url)).toContain(words)
  })

  it('refuses a name that the certificate does not have, unless only the authority is asked for', async () => {
    const named = (mode: string) =>
      `${server.url('postgres').replace('127.0.0.1', 'localhost')}?sslmode=${mode}&sslrootcert=${encodeURIComponent(files.right)}`
    expect(await refusal(named('verify-full'))).toContain('is for another name')
    await (await openExternalStore(named('verify-ca'), 'tool')).close()
  })
})

describe('what cannot be used is said in a sentence, without the password', () => {
  it('a wrong password, a user and a database that are not there', async () => {
    const wrong = await refusal(server.url('postgres', 'postgres', 'wr0ng'))
    expect(wrong).toContain('The password of the user postgres is wrong.')
    expect(wrong).not.toContain('wr0ng')
    expect(await refusal(server.url('postgres', 'stranger', 'x'))).toContain('stranger')
    expect(await refusal(server.url('absent'))).toContain('There is no database absent. Make it with: CREATE DATABASE')
  })

  it('a host that is not known, a port where nothing listens', async () => {
    expect(await refusal('postgres://u:pw@no-such-host.invalid/x')).toMatch(/The name in no-such-host\.invalid/)
    expect(await refusal('postgres://u:pw@127.0.0.1:1/x')).toContain('Nothing listens on 127.0.0.1 port 1.')
  })

  it('another encoding, with the statement that makes a right one', async () => {
    const url = await server.createDatabase("ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0")
    expect(await refusal(url)).toContain('encoded in LATIN1, not encoded in UTF8. Make one with: CREATE DATABASE')
  })

  it('a user who may not make tables (the rule since PostgreSQL 15), and it works once that is granted', async () => {
    const url = await server.createDatabase()
    const database = new URL(url).pathname.slice(1)
    await server.sql(`CREATE ROLE app LOGIN PASSWORD 'app'; REVOKE CREATE ON SCHEMA public FROM PUBLIC`, database)
    const app = server.url(database, 'app', 'app')
    expect(await refusal(app)).toContain('GRANT CREATE ON SCHEMA public TO app')
    await server.sql('GRANT CREATE ON SCHEMA public TO app', database)
    const store = await openExternalStore(app)
    await someAccount(store)
    await store.close()
  })

  it('a database that takes no writes', async () => {
    const url = await server.createDatabase()
    await server.sql(`ALTER DATABASE ${new URL(url).pathname.slice(1)} SET default_transaction_read_only = on`)
    expect(await refusal(url)).toContain('takes no writes')
  })
})

it('may be brought up to date by eight processes at once', async () => {
  const url = await server.createDatabase()
  await Promise.all(Array.from({ length: 8 }, () => migrate({ connectionString: url })))
  await (await openExternalStore(url)).close()
})

it('has one broker, whose lock ends with it; settings in the URL do not take ours away', async () => {
  const url = `${await server.createDatabase()}?options=-c%20enable_seqscan%3Don&application_name=mine`
  const first = await openExternalStore(url)
  expect(await refusal(url)).toContain('Another ClearBox runs on the database')
  await first.close()
  await (await openExternalStore(url)).close()
})
