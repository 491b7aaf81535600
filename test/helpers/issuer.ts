// An issuer of tokens as a company has one: keys of several kinds, and a server that shows them as a JWK Set.
import { KeyObject } from 'node:crypto'
import { once } from 'node:events'
import { createServer, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { exportJWK, generateKeyPair, type JWK, SignJWT } from 'jose'

export type Issuer = Readonly<{
  /** Where its key set is. */
  url: string
  /** A new key, shown from now on beside the others. */
  addKey(kid: string, alg: string): Promise<void>
  /** Not shown any more, but still signing. */
  hideKey(kid: string): void
  /** A token of this issuer for this audience that ends in a minute, unless `claims` say otherwise (undefined: left out). */
  sign(
    kid: string,
    claims: Readonly<Record<string, unknown>>,
    header?: Readonly<Record<string, unknown>>,
  ): Promise<string>
  /** The public key as it is shown. */
  jwk(kid: string): JWK
  /** How often the set was asked for. */
  asked(): number
  /** What answers instead of the set; null: the set. */
  answerWith(answer: ((response: ServerResponse) => void) | null): void
  /** The environment of a broker that trusts it. */
  env: Readonly<Record<string, string>>
  stop(): Promise<void>
}>

export const issuerName = 'https://issuer.example'
export const audience = 'chat'

type Key = Readonly<{ privateKey: KeyObject; jwk: JWK; isShown: boolean }>

export function secondsFromNow(seconds: number): number {
  return Math.floor(Date.now() / 1000) + seconds
}

export async function startIssuer(): Promise<Issuer> {
  const keys = new Map<string, Key>()
  let requests = 0
  let answer: ((response: ServerResponse) => void) | null = null
  const server = createServer((_request, response) => {
    requests++
    if (answer !== null) return answer(response)
    const shown = [...keys.values()].filter(({ isShown }) => isShown).map(({ jwk }) => jwk)
    response.setHeader('content-type', 'application/jwk-set+json').end(JSON.stringify({ keys: shown }))
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/keys`

  function keyOf(kid: string): Key {
    const key = keys.get(kid)
    if (key === undefined) throw new Error(`the issuer has no key ${kid}`)
    return key
  }

  return {
    url,
    async addKey(kid, alg) {
      const { publicKey, privateKey } = await generateKeyPair(alg, { extractable: true })
      keys.set(kid, {
        privateKey: KeyObject.from(privateKey),
        jwk: { ...(await exportJWK(publicKey)), kid, alg, use: 'sig' },
        isShown: true,
      })
    },
    hideKey: (kid) => void keys.set(kid, { ...keyOf(kid), isShown: false }),
    sign(kid, claims, header = {}) {
      const { privateKey, jwk } = keyOf(kid)
      const all = { iss: issuerName, aud: audience, exp: secondsFromNow(60), ...claims }
      return new SignJWT(all).setProtectedHeader({ alg: String(jwk.alg), kid, ...header }).sign(privateKey)
    },
    jwk: (kid) => keyOf(kid).jwk,
    asked: () => requests,
    answerWith(other) {
      answer = other
    },
    env: { CLEARBOX_JWT_ISSUER: issuerName, CLEARBOX_JWT_AUDIENCE: audience, CLEARBOX_JWT_JWKS: url },
    async stop() {
      server.closeAllConnections()
      if (server.listening) await new Promise((resolve) => server.close(resolve))
    },
  }
}
