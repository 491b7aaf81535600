// Accounts, changed in the store itself: a running server takes changes over within a second.
import { toAccountName } from '../broker/account-name.ts'
import { makeVerifiers } from '../broker/auth/scram.ts'
import { createLogger } from '../broker/log.ts'
import type { AccountStore, AuditStore } from '../broker/stores.ts'
import type { Role, Verifiers } from '../broker/types.ts'
import { openStore } from '../storage/index.ts'
import { audit } from './audit.ts'
import { CliError } from './cli-error.ts'
import { readPassword } from './password.ts'
import type { ReadConfig } from './read-config.ts'

type Request = Readonly<{ name: string; passwordStdin?: boolean }>

/** An account that an admin makes may use all plain topics (DESIGN §3). */
export async function addUser(read: ReadConfig, request: Request & Readonly<{ role: Role }>): Promise<void> {
  const { role } = request
  await withPassword(read, request, async ({ accounts, trail, name, address, verifiers }) => {
    if (!(await accounts.create({ name, role, plainTopics: 'all', verifiers }))) {
      throw new CliError(`There is an account ${name} already. To change its password: clearbox user passwd ${name}`)
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
  { config, warnings }: ReadConfig,
  request: Request,
  task: (chosen: Chosen) => Promise<void>,
): Promise<void> {
  for (const warning of warnings) process.stderr.write(`${warning}\n`)
  const name = toAccountName(request.name, config.domain)
  if (name === null) throw new CliError(`${JSON.stringify(request.name)} cannot be an account of ${config.domain}.`, 2)
  // First, so that the store is not held open while a person types.
  const verifiers = await makeVerifiers(await readPassword(request.passwordStdin === true))
  const logger = createLogger(config.log.level === 'info' ? 'warn' : config.log.level)
  const store = await openStore({ config, logger, purpose: 'tool' })
  try {
    await task({ accounts: store.accounts, trail: store.audit, name, address: `${name}@${config.domain}`, verifiers })
  } finally {
    await store.close()
  }
}
