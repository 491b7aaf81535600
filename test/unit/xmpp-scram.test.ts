import { createHash, createHmac, pbkdf2Sync } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { readPlain } from '../../adapters/xmpp/sasl/plain.ts'
import { makeVerifier } from '../../broker/auth/scram.ts'
import { createScram } from '../../broker/auth/scram-exchange.ts'
import type { Principal, Verifiers } from '../../broker/types.ts'

const principal: Principal = { account: 1, name: 'user', role: 'user', plainTopics: 'all', epoch: 0 }
const salts = { 'SCRAM-SHA-1': 'QSXCR+Q6sek8bf92', 'SCRAM-SHA-256': 'W22ZaJ0SNY7soEsUEjb6gQ==' } as const
const hashes = { 'SCRAM-SHA-1': 'sha1', 'SCRAM-SHA-256': 'sha256' } as const

/** The accounts of the examples in RFC 5802 §5 and RFC 7677 §3. */
async function examples(): Promise<Verifiers> {
  const make = (mechanism: keyof Verifiers) =>
    makeVerifier(mechanism, 'pencil', Buffer.from(salts[mechanism], 'base64'), 4096)
  return { 'SCRAM-SHA-1': await make('SCRAM-SHA-1'), 'SCRAM-SHA-256': await make('SCRAM-SHA-256') }
}

const lookUp = async () => ({ verifiers: await examples(), principal })

/** The client's side, by the RFC and not by our server. */
function proofOf(mechanism: keyof Verifiers, password: string, bare: string, challenge: string, withoutProof: string) {
  const hash = hashes[mechanism]
  const salted = pbkdf2Sync(password, Buffer.from(salts[mechanism], 'base64'), 4096, hash === 'sha1' ? 20 : 32, hash)
  const hmac = (key: Buffer, text: string) => createHmac(hash, key).update(text).digest()
  const clientKey = hmac(salted, 'Client Key')
  const signed = `${bare},${challenge},${withoutProof}`
  const signature = hmac(hashOf(hash, clientKey), signed)
  const proof = Buffer.from(clientKey.map((byte, at) => byte ^ (signature[at] ?? 0)))
  return { proof: proof.toString('base64'), server: hmac(hmac(salted, 'Server Key'), signed).toString('base64') }
}

function hashOf(hash: string, bytes: Buffer): Buffer {
  return createHash(hash).update(bytes).digest()
}

type Turn = Readonly<{
  mechanism?: keyof Verifiers
  header?: string
  binding?: string
  password?: string
  extra?: string
}>

async function exchange({ mechanism = 'SCRAM-SHA-256', header = 'n,,', password = 'pencil', ...turn }: Turn) {
  const scram = createScram(mechanism, lookUp)
  const bare = 'n=user,r=rOprNGfwEbeRWgbNEkqO'
  const first = await scram.take(Buffer.from(header + bare))
  if (!('challenge' in first)) throw new Error('no challenge')
  const nonce = /^r=([^,]+),/.exec(first.challenge)?.[1] ?? ''
  const binding = Buffer.from(turn.binding ?? header).toString('base64')
  const withoutProof = `c=${binding},r=${nonce}${turn.extra ?? ''}`
  const { proof, server } = proofOf(mechanism, password, bare, first.challenge, withoutProof)
  const result = await scram.take(Buffer.from(`${withoutProof},p=${proof}`))
  return { scram, nonce, challenge: first.challenge, result, server }
}

describe('SCRAM (RFC 5802, RFC 7677)', () => {
  it.each(['SCRAM-SHA-1', 'SCRAM-SHA-256'] as const)(
    '%s: knows who knows the password, and proves itself',
    async (mechanism) => {
      const { nonce, challenge, result, server } = await exchange({ mechanism })
      expect(nonce).toMatch(/^rOprNGfwEbeRWgbNEkqO.{24}$/)
      expect(challenge).toContain(`,s=${salts[mechanism]},i=4096`)
      expect(result).toEqual({ principal, authzid: '', data: `v=${server}` })
    },
  )

  it('refuses a wrong password', async () => {
    expect((await exchange({ password: 'pen' })).result).toMatchObject({ principal: null })
  })

  it('takes y, since nothing with a channel binding is on offer (§6)', async () => {
    expect((await exchange({ header: 'y,,' })).result).toMatchObject({ principal })
  })

  it('wants the header repeated as it was (§5.1)', async () => {
    expect((await exchange({ header: 'y,,', binding: 'n,,' })).result).toMatchObject({ principal: null })
    expect((await exchange({ header: 'n,,', binding: 'y,,' })).result).toMatchObject({ principal: null })
  })

  it('hands on the name to act for, and unknown extensions', async () => {
    const { result } = await exchange({ header: 'n,a=us=2Cer=3D,', extra: ',x=1' })
    expect(result).toMatchObject({ principal, authzid: 'us,er=' })
  })

  it('reads names with a comma and an equals sign (§5.1)', async () => {
    const asked: string[] = []
    const scram = createScram('SCRAM-SHA-1', async (name) => {
      asked.push(name)
      return lookUp()
    })
    await scram.take(Buffer.from('n,,n=a=2Cb=3Dc,r=x'))
    expect(asked).toEqual(['a,b=c'])
  })

  it.each([
    '',
    'n,,',
    'n,,n=user',
    'n,,n=,r=x',
    'n,,n=user,r=',
    'n,,n=us=er,r=x',
    'n,,n=user,r=a b',
    'x,,n=user,r=x',
    'p=tls-unique,,n=user,r=x',
    'n,,m=ext,n=user,r=x',
    'n,user,n=user,r=x',
  ])('refuses %j as a first message', async (message) => {
    await expect(createScram('SCRAM-SHA-1', lookUp).take(Buffer.from(message))).rejects.toMatchObject({
      condition: 'malformed-request',
    })
  })

  it.each(['', 'c=biws', 'c=biws,r=x', 'c=biws,r=x,p=', 'c=biws,r=x,p=AAAA', 'r=x,c=biws,p=AAAA'])(
    'refuses %j as a final message',
    async (message) => {
      const scram = createScram('SCRAM-SHA-1', lookUp)
      await scram.take(Buffer.from('n,,n=user,r=x'))
      await expect(scram.take(Buffer.from(message))).rejects.toMatchObject({ condition: 'malformed-request' })
    },
  )

  it('is used once', async () => {
    const { scram } = await exchange({})
    await expect(scram.take(Buffer.from('n,,n=user,r=x'))).rejects.toMatchObject({ condition: 'malformed-request' })
  })
})

describe('PLAIN (RFC 4616)', () => {
  it('has three parts', () => {
    expect(readPlain(Buffer.from('a\0b\0c d'))).toEqual({ authzid: 'a', username: 'b', password: 'c d' })
    expect(readPlain(Buffer.from('\0b\0ü'))).toEqual({ authzid: '', username: 'b', password: 'ü' })
  })

  it.each(['', 'a', 'a\0b', '\0\0c', '\0b\0', '\0b\0c\0'])('refuses %j', (token) => {
    expect(() => readPlain(Buffer.from(token))).toThrow('malformed-request')
  })

  it('refuses what is not UTF-8', () => {
    expect(() => readPlain(Buffer.from([0, 0x62, 0, 0xff]))).toThrow('malformed-request')
  })
})
