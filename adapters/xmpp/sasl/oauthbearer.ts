// RFC 7628: SASL mechanisms for OAuth  https://www.rfc-editor.org/rfc/rfc7628
import { SaslFault } from '../../../broker/auth/sasl-fault.ts'
import { decodeUtf8 } from '../../../broker/auth/utf8.ts'

export type OAuthBearer = Readonly<{ authzid: string; token: string }>

const separator = '\u0001'

/**
 * §3.1: `n,[a=authzid],`, then pairs `key=value`, each with SOH in front, then SOH SOH. Host and port do not matter here,
 * and channel binding is not offered. @throws SaslFault malformed-request
 */
export function readOAuthBearer(message: Buffer): OAuthBearer {
  const [header = '', ...pairs] = decodeUtf8(message)?.split(separator) ?? []
  const isClosed = pairs.length > 1 && pairs.pop() === '' && pairs.pop() === ''
  const [isHeader, authzid = ''] = /^[ny],(?:a=([^,]+))?,$/.exec(header) ?? []
  const token = pairs
    .map((pair) => /^auth=Bearer +([\w.~+/-]+=*) *$/i.exec(pair)?.[1])
    .find((found) => found !== undefined)
  if (isHeader === undefined || !isClosed || token === undefined) throw new SaslFault('malformed-request')
  return { authzid: authzid.replaceAll('=2C', ',').replaceAll('=3D', '='), token }
}

/** §3.2.2: told in a challenge; only after the client's answer to it the login has failed. */
export const invalidToken = JSON.stringify({ status: 'invalid_token' })
