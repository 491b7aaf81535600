// Whether a certificate and a private key (PEM) can serve TLS together. Pure.
import { createPrivateKey, X509Certificate } from 'node:crypto'
import { createSecureContext } from 'node:tls'

/** What is wrong with the two, in words; null: nothing. */
export function certificateFault(cert: string, key: string): string | null {
  try {
    if (!new X509Certificate(cert).checkPrivateKey(createPrivateKey(key))) return 'the key is not the certificate’s'
    createSecureContext({ cert, key })
    return null
  } catch (error) {
    return error instanceof Error ? error.message : String(error)
  }
}
