// The accounts of the bench, written into the store as the command line does it, but all with one start.
import { dirname, join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { chatLogins, logins } from './broker.ts'

/** Beside a running server. Uses the build that is measured, since its database has that build's tables. */
export async function addAccounts(program: string, dataDir: string): Promise<void> {
  const load = (path: string): Promise<unknown> =>
    import(pathToFileURL(join(dirname(program), '..', 'dist', path)).href)
  const { openStore } = (await load('storage/index.js')) as typeof import('../../storage/index.ts')
  const { makeVerifiers } = (await load('broker/auth/scram.js')) as typeof import('../../broker/auth/scram.ts')
  const { createLogger } = (await load('broker/log.js')) as typeof import('../../broker/log.ts')
  const config = { dataDir, database: { url: null, binDir: null } }
  const store = await openStore({ config, logger: createLogger('warn'), purpose: 'tool' })
  try {
    for (const { username, password } of [...logins, ...chatLogins]) {
      const verifiers = await makeVerifiers(password)
      await store.accounts.create({ name: username, role: 'user', plainTopics: 'all', verifiers })
    }
  } finally {
    await store.close()
  }
}
