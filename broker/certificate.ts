// The certificate of all TLS listeners: the configured one, or a self-signed one that is kept in the data folder.
// A file that changes is read again, without a restart.
import { createPrivateKey, randomBytes, X509Certificate } from 'node:crypto'
import { mkdir, readFile, rename, stat, writeFile } from 'node:fs/promises'
import { isIP } from 'node:net'
import { join } from 'node:path'
import { createSecureContext, type SecureContext, type SecureContextOptions } from 'node:tls'
import { domainToASCII } from 'node:url'
import { certificateFault } from './certificate-fault.ts'
import type { Config } from './config.ts'
import type { Logger } from './log.ts'
import { makeSelfSigned } from './self-signed.ts'

export type Certificate = Readonly<{
  /** The same object until the files change; TLS 1.2 and newer. */
  secureContext(): SecureContext
  options(): SecureContextOptions
  /** Called after each change. Returns undo. */
  onChange(listener: () => void): () => void
  /** Looks whether the files have changed. New ones that cannot be used leave the old ones in force, and are logged. */
  refresh(): Promise<void>
  certFile: string
  keyFile: string
  isSelfSigned: boolean
}>

type Pem = Readonly<{ cert: string; key: string }>
type Files = Readonly<{ cert: string; key: string }>

const dayMs = 24 * 60 * 60 * 1000
/** The longest that Apple's clients accept. */
const validDays = 825
/** A certificate with less than this left is renewed at the start. */
const renewDays = 30

type Options = Readonly<{ config: Pick<Config, 'tls' | 'dataDir' | 'domain'>; logger: Logger }>

/** @throws Error that names the file when configured files cannot be used */
export async function openCertificate({ config, logger }: Options): Promise<Certificate> {
  const { cert, key } = config.tls
  const configured = cert !== null && key !== null ? { cert, key } : null
  const folder = join(config.dataDir, 'tls')
  const files = configured ?? { cert: join(folder, 'cert.pem'), key: join(folder, 'key.pem') }
  if (configured === null) await keepSelfSigned(folder, files, config.domain)
  const listeners = new Set<() => void>()
  let seen = await stampOf(files)
  let current = toUsable(await readPem(files), files)

  return {
    secureContext: () => current.context,
    options: () => current.options,
    onChange(listener) {
      listeners.add(listener)
      return () => void listeners.delete(listener)
    },
    async refresh() {
      const stamp = await stampOf(files)
      if (stamp === seen) return
      seen = stamp
      try {
        current = toUsable(await readPem(files), files)
      } catch (err) {
        logger.error({ err, ...files }, 'the changed certificate cannot be used; the one before stays')
        return
      }
      logger.info(files, 'the certificate has changed')
      for (const listener of listeners) listener()
    },
    certFile: files.cert,
    keyFile: files.key,
    isSelfSigned: configured === null,
  }
}

/** Differs when a file has been written or replaced; follows links, as those that Kubernetes swaps. */
async function stampOf({ cert, key }: Files): Promise<string> {
  const stamps = [cert, key].map((file) =>
    stat(file, { bigint: true }).then(
      ({ ino, size, mtimeNs }) => `${ino} ${size} ${mtimeNs}`,
      () => 'missing',
    ),
  )
  return (await Promise.all(stamps)).join(', ')
}

type Usable = Readonly<{ options: SecureContextOptions; context: SecureContext }>

/** @throws Error that names the files */
function toUsable(pem: Pem, files: Files): Usable {
  const fault = certificateFault(pem.cert, pem.key)
  if (fault !== null) throw new Error(`${files.cert} and ${files.key} cannot be used: ${fault}`)
  const options = { ...pem, minVersion: 'TLSv1.2' } as const
  return { options, context: createSecureContext(options) }
}

async function readPem(files: Files): Promise<Pem> {
  const [cert, key] = await Promise.all([readFile(files.cert, 'utf8'), readFile(files.key, 'utf8')])
  return { cert, key }
}

async function keepSelfSigned(folder: string, files: Files, domain: string): Promise<void> {
  const kept = await readPem(files).catch(() => null)
  if (kept && isGoodFor(kept, domain)) return
  const pem = makePair(domain)
  await mkdir(folder, { recursive: true, mode: 0o700 })
  // Written aside first: a fall in the middle leaves the old pair, or one that does not fit and is made anew.
  await replaceFile(files.key, pem.key, 0o600)
  await replaceFile(files.cert, pem.cert, 0o644)
}

async function replaceFile(file: string, text: string, mode: number): Promise<void> {
  const aside = `${file}.${randomBytes(6).toString('hex')}`
  await writeFile(aside, text, { mode, flag: 'wx' })
  await rename(aside, file)
}

function isGoodFor(pem: Pem, domain: string): boolean {
  try {
    const certificate = new X509Certificate(pem.cert)
    const isLasting = Date.parse(certificate.validTo) - Date.now() > renewDays * dayMs
    const address = toAddress(domain)
    const names = address === null ? certificate.checkHost(toDnsName(domain)) : certificate.checkIP(address)
    return isLasting && names !== undefined && certificate.checkPrivateKey(createPrivateKey(pem.key))
  } catch {
    return false
  }
}

function makePair(domain: string): Pem {
  const own = toAddress(domain) ?? toDnsName(domain)
  const others = domain === 'localhost' ? ['127.0.0.1', '::1'] : []
  const now = Date.now()
  return makeSelfSigned({
    names: [own, ...others],
    // A client's clock may be late.
    notBefore: new Date(now - dayMs),
    notAfter: new Date(now + (validDays - 1) * dayMs),
  })
}

/** The domain as an IP address; null: it is a name. */
function toAddress(domain: string): string | null {
  const bare = domain.replace(/^\[(.*)\]$/, '$1')
  return isIP(bare) === 0 ? null : bare
}

function toDnsName(domain: string): string {
  return domainToASCII(domain) || domain
}
