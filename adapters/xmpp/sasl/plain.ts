// RFC 4616: The PLAIN SASL Mechanism  https://www.rfc-editor.org/rfc/rfc4616
import { SaslFault } from '../../../broker/auth/sasl-fault.ts'
import { decodeUtf8 } from '../../../broker/auth/utf8.ts'

export type Plain = Readonly<{ authzid: string; username: string; password: string }>

/** `[authzid] NUL authcid NUL passwd`. @throws SaslFault malformed-request */
export function readPlain(token: Buffer): Plain {
  const parts = decodeUtf8(token)?.split('\0')
  const [authzid, username, password] = parts ?? []
  if (parts?.length !== 3 || authzid === undefined || !username || !password) throw new SaslFault('malformed-request')
  return { authzid, username, password }
}
