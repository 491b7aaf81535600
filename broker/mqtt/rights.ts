// Subscriptions are authorised again: when a session is resumed, and when the rules change (DESIGN §3).
import { setImmediate as turn } from 'node:timers/promises'
import type { Rights } from '../policy.ts'
import type { Session } from '../session.ts'
import type { Host } from './host.ts'

type Needed = Pick<Host, 'sessions' | 'notice' | 'policy' | 'auth' | 'anonymous' | 'logger'>

/** So many subscriptions are looked at before others have their turn. */
const perTurn = 2000

/** Ends those that have lost their right, and tells so. @throws when the store is away: then they are gone here only */
export async function authoriseAgain(
  { sessions, notice }: Pick<Needed, 'sessions' | 'notice'>,
  session: Session,
  rights: Rights,
): Promise<void> {
  const lost = [...session.subscriptions.keys()].filter((filter) => rights.decideFilter(filter).kind === 'refused')
  if (lost.length === 0) return
  for (const filter of lost) {
    sessions.unsubscribe(session, filter)
    notice(session.account, {
      code: 'forbidden',
      detail: 'The subscription has ended: this account may not have it any more.',
      at: Date.now(),
      topic: filter,
      clientId: session.clientId,
    })
  }
  await sessions.keepSubscriptions(session, [], lost)
}

/** All sessions, first those that were connected since the start: the others' accounts may have to be read. */
export async function authoriseAllAgain(host: Needed): Promise<void> {
  const withRights: [Session, Rights][] = []
  const others: Session[] = []
  for (const session of host.sessions.all()) {
    if (session.rights === null) others.push(session)
    else withRights.push([session, session.rights])
  }
  let looked = 0
  const look = async (session: Session, rights: Rights): Promise<void> => {
    looked += session.subscriptions.size
    await authoriseAgain(host, session, rights).catch((fault: unknown) =>
      host.logger.warn({ err: fault, clientId: session.clientId }, 'the end of a subscription could not be stored'),
    )
    if (looked < perTurn) return
    looked = 0
    await turn()
  }
  for (const [session, rights] of withRights) await look(session, rights)
  for (const session of others) {
    const rights = await rightsOf(host, session)
    if (rights !== null) await look(session, rights)
  }
}

/** Null: the account is gone, and so will its session be. */
async function rightsOf({ auth, anonymous, policy, logger }: Needed, session: Session): Promise<Rights | null> {
  const { account, accountName, clientId } = session
  try {
    const principal = account === 0 ? anonymous : await auth.principal(account, accountName)
    return principal && policy.rightsOf({ principal, clientId })
  } catch (fault) {
    logger.warn({ err: fault, clientId }, 'an account could not be read; its session is looked at when it is resumed')
    return null
  }
}
