// RFC 7622: XMPP Address Format  https://www.rfc-editor.org/rfc/rfc7622
import { toDomain, toLocalpart, toResource } from '../../broker/account-name.ts'

/** A prepared address. Absent parts are ''. */
export type Jid = Readonly<{ local: string; domain: string; resource: string }>

/** §3.1: cut at the first `/`, then at the first `@`; a separator with nothing on its side is no address. Null: malformed. */
export function parseJid(input: string): Jid | null {
  const slash = input.indexOf('/')
  const bare = slash < 0 ? input : input.slice(0, slash)
  const at = bare.indexOf('@')
  const local = at < 0 ? '' : toLocalpart(bare.slice(0, at))
  const domain = toDomain(bare.slice(at + 1))
  const resource = slash < 0 ? '' : toResource(input.slice(slash + 1))
  if (local === null || domain === null || resource === null) return null
  return { local, domain, resource }
}

export function bareOf(jid: Jid): string {
  return jid.local === '' ? jid.domain : `${jid.local}@${jid.domain}`
}

export function toText(jid: Jid): string {
  return jid.resource === '' ? bareOf(jid) : `${bareOf(jid)}/${jid.resource}`
}

/** The resource of an MQTT device as others see it; XMPP clients cannot bind one (DESIGN §3). */
export function isDeviceResource(resource: string): boolean {
  return /^mqtt-[a-z2-7]{10}$/i.test(resource)
}
