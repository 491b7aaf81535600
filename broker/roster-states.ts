// RFC 6121 Appendix A: Subscription States  https://www.rfc-editor.org/rfc/rfc6121#appendix-A
import type { Verb } from './contacts.ts'

/** §A.1. `out`: the owner has asked; `in`: the contact has asked. */
export type SubscriptionState =
  | 'none'
  | 'none+out'
  | 'none+in'
  | 'none+out+in'
  | 'to'
  | 'to+in'
  | 'from'
  | 'from+out'
  | 'both'

/** `passes`: the stanza is routed to the contact (outbound), or delivered to the owner (inbound). */
export type Step = Readonly<{ passes: boolean; to: SubscriptionState }>

type Table = Readonly<Record<Verb, Readonly<Record<SubscriptionState, Step>>>>

const go = (to: SubscriptionState): Step => ({ passes: true, to })
const stop = (to: SubscriptionState): Step => ({ passes: false, to })

/** §A.2: what the owner says, and the state of its item. */
export const outbound: Table = {
  // §A.2.1
  subscribe: {
    none: go('none+out'),
    'none+out': go('none+out'),
    'none+in': go('none+out+in'),
    'none+out+in': go('none+out+in'),
    to: go('to'),
    'to+in': go('to+in'),
    from: go('from+out'),
    'from+out': go('from+out'),
    both: go('both'),
  },
  // §A.2.2
  unsubscribe: {
    none: go('none'),
    'none+out': go('none'),
    'none+in': go('none+in'),
    'none+out+in': go('none+in'),
    to: go('none'),
    'to+in': go('none+in'),
    from: go('from'),
    'from+out': go('from'),
    both: go('from'),
  },
  // §A.2.3: what does not pass is an approval in advance, or nothing.
  subscribed: {
    none: stop('none'),
    'none+out': stop('none+out'),
    'none+in': go('from'),
    'none+out+in': go('from+out'),
    to: stop('to'),
    'to+in': go('both'),
    from: stop('from'),
    'from+out': stop('from+out'),
    both: stop('both'),
  },
  // §A.2.4
  unsubscribed: {
    none: stop('none'),
    'none+out': stop('none+out'),
    'none+in': go('none'),
    'none+out+in': go('none+out'),
    to: stop('to'),
    'to+in': go('to'),
    from: go('none'),
    'from+out': go('none+out'),
    both: go('to'),
  },
}

/** §A.3: what the contact says, and the state of the owner's item. */
export const inbound: Table = {
  // §A.3.1
  subscribe: {
    none: go('none+in'),
    'none+out': go('none+out+in'),
    'none+in': stop('none+in'),
    'none+out+in': stop('none+out+in'),
    to: go('to+in'),
    'to+in': stop('to+in'),
    from: stop('from'),
    'from+out': stop('from+out'),
    both: stop('both'),
  },
  // §A.3.2
  unsubscribe: {
    none: stop('none'),
    'none+out': stop('none+out'),
    'none+in': go('none'),
    'none+out+in': go('none+out'),
    to: stop('to'),
    'to+in': go('to'),
    from: go('none'),
    'from+out': go('none+out'),
    both: go('to'),
  },
  // §A.3.3
  subscribed: {
    none: stop('none'),
    'none+out': go('to'),
    'none+in': stop('none+in'),
    'none+out+in': go('to+in'),
    to: stop('to'),
    'to+in': stop('to+in'),
    from: stop('from'),
    'from+out': go('both'),
    both: stop('both'),
  },
  // §A.3.4
  unsubscribed: {
    none: stop('none'),
    'none+out': go('none'),
    'none+in': stop('none+in'),
    'none+out+in': go('none+in'),
    to: go('none'),
    'to+in': go('none+in'),
    from: stop('from'),
    'from+out': go('from'),
    both: go('from'),
  },
}
