// Accounts, changed in the store itself: a running server takes changes over within a second.
import { toAccountName } from '../broker/account-name.ts'
import { makeVerifiers } from '../broker/auth/scram.ts'
import type { AccountStore, AuditStore } from '../broker/stores.ts'
import type { Role, Verifiers } from '../broker/types.ts'
import { audit } from './audit.ts'
import { CliError } from './cli-error.ts'
import { readPassword } from './password.ts'
import type { ReadConfig } from './read-config.ts'
import { withStore } from './with-store.ts'

type Request = Readonly<{ name: string; passwordStdin?: boolean }>

/** An account that an admin makes may use all plain topics (DESIGN §3). */
export async function addUser(read: ReadConfig, request: Request & Readonly<{ role: Role }>): Promise<void> {
  const { role } = request
  await withPassword(read, request, async ({ accounts, trail, name, address, verifiers }) => {
    if (!(await accounts.create({ name, role, plainTopics: 'all', verifiers }))) {
      throw new CliError(
        (await accounts.byName(name)) === null
          ? `There was an account ${name}; the name of a deleted account is not given out again.`
          : `There is an account ${name} already. To change its password: clearbox user passwd ${name}`,
      )
    }
    await audit(trail, 'account.created', name)
    process.stdout.write(`Made the account ${address}${role === 'admin' ? ', an administrator' : ''}.\n`)
  })
}

export async function changePassword(read: ReadConfig, request: Request): Promise<void> {
  await withPassword(read, request, async ({ accounts, trail, name, address, verifiers }) => {
    if (!(await accounts.setVerifiers(name, verifiers))) throw new CliError(`There is no account ${address}.`)
    await audit(trail, 'account.password', name)
    process.stdout.write(`Changed the password of ${address}; its connections end.\n`)
  })
}

type Chosen = Readonly<{
  accounts: AccountStore
  trail: AuditStore
  name: string
  address: string
  verifiers: Verifiers
}>

async function withPassword(
  read: ReadConfig,
  request: Request,
  task: (chosen: Chosen) => Promise<void>,
): Promise<void> {
  const { domain } = read.config
  const name = toAccountName(request.name, domain)
  if (name === null) throw new CliError(`${JSON.stringify(request.name)} cannot be an account of ${domain}.`, 2)
  // First, so that the store is not held open while a person types.
  const verifiers = await makeVerifiers(await readPassword(request.passwordStdin === true))
  await withStore(read, ({ accounts, audit: trail }) =>
    task({ accounts, trail, name, address: `${name}@${domain}`, verifiers }),
  )
}
