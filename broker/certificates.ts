// The certificate of all TLS listeners, and those that single ones have for themselves.
import { type Certificate, openCertificate } from './certificate.ts'
import type { Config } from './config.ts'
import type { CertificateFiles } from './listener.ts'
import type { Logger } from './log.ts'

export type Certificates = Readonly<{
  shared: Certificate
  /** Of files that the configuration names. */
  of(files: CertificateFiles): Certificate
  refresh(): Promise<void>
}>

type Options = Readonly<{ config: Pick<Config, 'tls' | 'dataDir' | 'domain' | 'listeners'>; logger: Logger }>

/** @throws Error that names the file when configured files cannot be used */
export async function openCertificates({ config, logger }: Options): Promise<Certificates> {
  const shared = await openCertificate({ config, logger })
  const own = new Map<string, Certificate>()
  for (const { tls: { cert, key } = {} } of config.listeners) {
    if (cert === undefined || key === undefined) continue
    own.set(keyOf({ cert, key }), await openCertificate({ config: { ...config, tls: { cert, key } }, logger }))
  }
  return {
    shared,
    of: (files) => own.get(keyOf(files)) ?? shared,
    async refresh() {
      for (const certificate of [shared, ...own.values()]) await certificate.refresh()
    },
  }
}

function keyOf({ cert, key }: CertificateFiles): string {
  return `${cert}\0${key}`
}
