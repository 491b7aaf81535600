// converse.js in a browser, as someone would put it on a page: XMPP over WebSocket, a conversation with MQTT.
import { createReadStream, existsSync } from 'node:fs'
import { createServer, type Server } from 'node:http'
import { join, normalize } from 'node:path'
import { connectAsync } from 'mqtt'
import { type Browser, chromium, type Page } from 'playwright-core'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { startTestBroker, type TestBroker } from '../helpers/broker.ts'
import { befriend } from '../helpers/contacts.ts'
import { root } from '../helpers/process.ts'
import { domain } from '../script/xmpp-client.ts'

const dist = join(root, 'node_modules/converse.js/dist')
const types: Readonly<Record<string, string>> = { js: 'text/javascript', css: 'text/css', html: 'text/html' }
const waitMs = 10_000

let broker: TestBroker
let site: Server
let browser: Browser
beforeAll(async () => {
  broker = await startTestBroker()
  site = createServer((request, response) => {
    const path = normalize(request.url?.split('?', 1)[0] ?? '/')
    const file = join(dist, path)
    if (path === '/') response.setHeader('content-type', 'text/html').end(page)
    else if (!existsSync(file)) response.writeHead(404).end()
    else {
      response.setHeader('content-type', types[file.split('.').at(-1) ?? ''] ?? 'application/octet-stream')
      createReadStream(file).pipe(response)
    }
  })
  await new Promise<void>((resolve) => site.listen(0, '127.0.0.1', resolve))
  const alone = '--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1'
  const args = ['--no-sandbox', '--disable-gpu', '--disable-background-networking', alone]
  browser = await chromium.launch({ executablePath: '/usr/bin/chromium', args, timeout: 20_000 })
})
afterAll(async () => {
  await browser?.close()
  site?.close()
  await broker?.stop()
})

const page = `<!DOCTYPE html><html lang="en"><head><meta charset="utf-8">
<link rel="stylesheet" href="/converse.min.css"><script type="module">
import converse from '/converse.min.js'
globalThis.start = (options) => void converse.initialize(options)
</script></head>
<body class="converse-fullscreen"></body></html>`

type Account = Readonly<{ name: string; password: string }>
type User = Account & Readonly<{ websocketUrl: string }>

/** A browser of its own, with nothing kept from an earlier visit. */
async function openBrowser(faults: string[]): Promise<Page> {
  const context = await browser.newContext({ ignoreHTTPSErrors: true })
  context.setDefaultTimeout(waitMs)
  const tab = await context.newPage()
  tab.on('pageerror', (fault) => faults.push(fault.message))
  return tab
}

/** Loads the page, as a reload does, and waits until it is online. `resource`: of its own choice when it is absent. */
async function visit(tab: Page, user: User, resource?: string): Promise<void> {
  const address = site.address()
  const port = typeof address === 'object' && address !== null ? address.port : 0
  await tab.goto(`http://127.0.0.1:${port}/`)
  const bare = `${user.name}@${domain}`
  const options = {
    websocket_url: user.websocketUrl,
    jid: resource === undefined ? bare : `${bare}/${resource}`,
    password: user.password,
    auto_login: true,
    discover_connection_methods: false,
    view_mode: 'fullscreen',
    assets_path: '/',
    i18n: 'en',
    play_sounds: false,
    show_desktop_notifications: false,
  }
  await tab.waitForFunction('globalThis.start')
  await tab.evaluate(`start(${JSON.stringify(options)})`)
  await tab.getByText('I am online').waitFor()
}

/** Someone with unread messages is listed twice. */
const contact = (tab: Page, { name }: Account) => tab.locator(`a.open-chat[data-jid="${name}@${domain}"]`).first()

/** The texts of the open chat, from the first time that `last` is among them. */
async function textsWith(tab: Page, last: string): Promise<readonly string[]> {
  const texts = tab.locator('.chat-msg__text')
  await texts.getByText(last).first().waitFor()
  return texts.allInnerTexts()
}

async function onMqtt({ name, password }: Account) {
  const client = await connectAsync(`mqtt://127.0.0.1:${broker.mqttPort}`, { username: name, password })
  const lines: string[] = []
  client.on('message', (_topic, payload) => lines.push(payload.toString()))
  await client.subscribeAsync(`u/${name}/text`, { qos: 1 })
  const say = (to: Account, text: string) => client.publishAsync(`u/${to.name}/in`, text, { qos: 1 })
  return { client, lines, say }
}

it.each(['ws', 'wss'] as const)('converse.js talks over %s with someone on MQTT, and misses nothing', async (kind) => {
  const [alice, bob] = [await broker.account('alice'), await broker.account('bob')]
  await befriend(broker, alice, bob)
  const port = kind === 'ws' ? broker.httpPort : broker.httpsPort
  const user = { ...alice, websocketUrl: `${kind}://127.0.0.1:${port}/xmpp-websocket` }
  const faults: string[] = []
  const tab = await openBrowser(faults)
  await visit(tab, user, 'page')

  const { client, lines, say } = await onMqtt(bob)
  await client.publishAsync(`u/${bob.name}/presence/set`, 'away', { qos: 1 })
  await contact(tab, bob).locator('.contact-name--away').waitFor()
  await say(alice, 'hello from a sensor')
  await contact(tab, bob).locator('.msgs-indicator').getByText('1').waitFor()
  await contact(tab, bob).click()
  expect(await textsWith(tab, 'hello from a sensor')).toEqual(['hello from a sensor'])
  await tab.locator('converse-chat textarea').fill('hello from a browser')
  await tab.locator('converse-chat textarea').press('Enter')
  await expect.poll(() => lines, { timeout: waitMs }).toEqual([`${alice.name}: hello from a browser`])

  await tab.goto('about:blank')
  await say(alice, 'while you were away')
  const all = ['hello from a sensor', 'hello from a browser', 'while you were away']
  await visit(tab, user, 'page')
  expect(await textsWith(tab, 'while you were away')).toEqual(all)

  const second = await openBrowser(faults)
  await visit(second, user)
  await contact(second, bob).click()
  expect(await textsWith(second, 'while you were away')).toEqual(all)
  expect(faults).toEqual([])
  await Promise.all([client.endAsync(), tab.context().close(), second.context().close()])
})
