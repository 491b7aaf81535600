// converse.js in a browser, as someone would put it on a page: XMPP over WebSocket, a conversation with MQTT.
import { createReadStream, existsSync } from 'node:fs'
import { createServer, type Server } from 'node:http'
import { join, normalize } from 'node:path'
import { connectAsync } from 'mqtt'
import { type Browser, chromium, type Page } from 'playwright-core'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { startTestBroker, type TestBroker } from '../helpers/broker.ts'
import { root } from '../helpers/process.ts'
import { domain } from '../script/xmpp-client.ts'

const dist = join(root, 'node_modules/converse.js/dist')
const types: Readonly<Record<string, string>> = { js: 'text/javascript', css: 'text/css', html: 'text/html' }

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
  const args = ['--no-sandbox', '--disable-gpu', '--disable-background-networking', '--ignore-certificate-errors']
  browser = await chromium.launch({ executablePath: '/usr/bin/chromium', args })
})
afterAll(async () => {
  await browser.close()
  site.close()
  await broker.stop()
})

const page = `<!DOCTYPE html><html lang="en"><head><meta charset="utf-8">
<link rel="stylesheet" href="/converse.min.css"><script type="module">
import converse from '/converse.min.js'
converse.plugins.add('page', { initialize() { globalThis.chats = this._converse.api.chats } })
globalThis.start = (options) => converse.initialize(options)
</script></head>
<body class="converse-fullscreen"></body></html>`

type Account = Readonly<{ name: string; password: string }>

async function open(account: Account, websocketUrl: string): Promise<Page> {
  const address = site.address()
  const port = typeof address === 'object' && address !== null ? address.port : 0
  const context = await browser.newContext({ ignoreHTTPSErrors: true })
  const tab = await context.newPage()
  await tab.goto(`http://127.0.0.1:${port}/`)
  const options = {
    websocket_url: websocketUrl,
    jid: `${account.name}@${domain}`,
    password: account.password,
    auto_login: true,
    discover_connection_methods: false,
    view_mode: 'fullscreen',
    assets_path: '/',
    i18n: 'en',
    whitelisted_plugins: ['page'],
    allow_non_roster_messaging: true,
    play_sounds: false,
    show_desktop_notifications: false,
    clear_cache_on_logout: true,
  }
  await tab.waitForFunction('globalThis.start')
  await tab.evaluate(`start(${JSON.stringify(options)})`)
  return tab
}

it.each(['ws', 'wss'] as const)('converse.js logs in over %s and talks with someone on MQTT', async (kind) => {
  const [alice, bob] = [await broker.account('alice'), await broker.account('bob')]
  const port = kind === 'ws' ? broker.httpPort : broker.httpsPort
  const tab = await open(alice, `${kind}://127.0.0.1:${port}/xmpp-websocket`)
  const faults: string[] = []
  tab.on('pageerror', (fault) => faults.push(fault.message))
  await tab.locator('converse-controlbox:not(.logged-out)').waitFor({ state: 'attached' })

  const mqtt = await connectAsync(`mqtt://127.0.0.1:${broker.mqttPort}`, { username: bob.name, password: bob.password })
  const lines: string[] = []
  mqtt.on('message', (_topic, payload) => lines.push(payload.toString()))
  await mqtt.subscribeAsync(`u/${bob.name}/text`, { qos: 1 })

  await mqtt.publishAsync(`u/${alice.name}/in`, 'hello from a sensor', { qos: 1 })
  await tab.evaluate(`chats.open('${bob.name}@${domain}').then(() => true)`)
  await tab.getByText('hello from a sensor').first().waitFor()

  const box = tab.locator('converse-chat textarea')
  await box.fill('hello from a browser')
  await box.press('Enter')
  await expect.poll(() => lines, { timeout: 10_000 }).toEqual([`${alice.name}: hello from a browser`])
  expect(faults).toEqual([])
  await mqtt.endAsync()
  await tab.context().close()
})
