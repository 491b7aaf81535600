// RFC 6120 §6.5.10: after failed logins the right password must wait, too.
import { afterAll, beforeAll, expect, it } from 'vitest'
import { type Element, elementsOf } from '../../adapters/xmpp/element.ts'
import { startTestBroker, type TestBroker } from '../helpers/broker.ts'
import { connectClient } from './xmpp-client.ts'

const saslNs = 'urn:ietf:params:xml:ns:xmpp-sasl'

let broker: TestBroker
beforeAll(async () => {
  broker = await startTestBroker({ env: { CLEARBOX_LOGIN_TRIES: '2' } })
})
afterAll(() => broker.stop())

/** Each on a stream of its own; answers `success`, `challenge`, or the condition of the failure. */
async function tryLogin(mechanism: string, initial: string): Promise<string> {
  const client = await connectClient(broker.xmppPort)
  await client.startTls()
  client.openStream()
  await client.until('features')
  const token = Buffer.from(initial).toString('base64')
  client.write(`<auth xmlns='${saslNs}' mechanism='${mechanism}'>${token}</auth>`)
  const answer = (await client.next()) as Element
  client.destroy()
  return answer.name === 'failure' ? (elementsOf(answer)[0]?.name ?? '') : answer.name
}

it('answers temporary-auth-failure for every mechanism, until the wait is over', async () => {
  const { name, password } = await broker.account()
  const plain = (secret: string) => tryLogin('PLAIN', `\0${name}\0${secret}`)
  const scram = () => tryLogin('SCRAM-SHA-256', `n,,n=${name},r=abc`)
  expect(await scram()).toBe('challenge')
  expect([await plain('wrong'), await plain('wrong too')]).toEqual(['not-authorized', 'not-authorized'])
  expect(await plain(password)).toBe('temporary-auth-failure')
  expect(await scram()).toBe('temporary-auth-failure')
  expect(await tryLogin('PLAIN', `\0${(await broker.account()).name}\0x`)).toBe('not-authorized')
  await expect.poll(() => plain(password), { timeout: 5000 }).toBe('success')
  expect(await scram()).toBe('challenge')
})

it('counts the wrong proofs of SCRAM', async () => {
  const { name } = await broker.account()
  const fail = async () => {
    const client = await connectClient(broker.xmppPort)
    await client.startTls()
    client.openStream()
    await client.until('features')
    const send = (element: string, text: string) =>
      client.write(
        element.replace('/>', `>${Buffer.from(text).toString('base64')}</${element.slice(1, element.indexOf(' '))}>`),
      )
    send(`<auth xmlns='${saslNs}' mechanism='SCRAM-SHA-1'/>`, `n,,n=${name},r=abc`)
    const challenge = await client.next()
    const children = typeof challenge === 'object' && 'children' in challenge ? challenge.children : []
    const nonce = /r=([^,]+)/.exec(Buffer.from(children.join(''), 'base64').toString())?.[1]
    send(`<response xmlns='${saslNs}'/>`, `c=biws,r=${nonce},p=${Buffer.alloc(20).toString('base64')}`)
    const answer = (await client.next()) as Element
    client.destroy()
    return elementsOf(answer)[0]?.name
  }
  expect([await fail(), await fail()]).toEqual(['not-authorized', 'not-authorized'])
  expect(await tryLogin('SCRAM-SHA-1', `n,,n=${name},r=abc`)).toBe('temporary-auth-failure')
})
