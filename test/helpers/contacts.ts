// Accounts that see each other's presence, made as people make them: by asking and granting.
import type { Element } from '../../adapters/xmpp/element.ts'
import { domain, loginClient, type XmppClient } from '../script/xmpp-client.ts'
import type { TestBroker } from './broker.ts'

type Named = Readonly<{ name: string }>

/** From now on either sees the other. */
export async function befriend(broker: TestBroker, a: Named, b: Named): Promise<void> {
  const [one, other] = [await loginClient(broker.xmppPort, a.name), await loginClient(broker.xmppPort, b.name)]
  for (const [client, to] of [
    [one, b],
    [other, a],
  ] as const) {
    say(client, 'subscribe', to)
    await client.ping()
  }
  for (const [client, to] of [
    [one, b],
    [other, a],
  ] as const) {
    say(client, 'subscribed', to)
    await client.ping()
  }
  await one.close()
  await other.close()
}

export function say(client: XmppClient, type: string, { name }: Named): void {
  client.write(`<presence type='${type}' to='${name}@${domain}'/>`)
}

/** The next presence from the account, whatever comes before it. */
export async function presenceFrom(client: XmppClient, { name }: Named): Promise<Element> {
  for (;;) {
    const element = await client.until('presence')
    if (element.attrs.from?.startsWith(`${name}@${domain}`)) return element
  }
}
