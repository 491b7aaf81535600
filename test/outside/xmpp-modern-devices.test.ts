// Today's devices as slixmpp has them: registration, acknowledgements and resumption, copies, and the archive.
import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { startTestBroker, type TestBroker } from '../helpers/broker.ts'
import { python } from '../helpers/programs.ts'

const script = fileURLToPath(new URL('xmpp-devices.py', import.meta.url))

let broker: TestBroker
beforeAll(async () => {
  broker = await startTestBroker({ env: { CLEARBOX_REGISTRATION: 'open' } })
})
afterAll(() => broker.stop())

it('slixmpp registers, copies, resumes a torn stream, and catches up (XEP-0077, 0198, 0280, 0313)', async () => {
  const { stdout } = await promisify(execFile)(python, [script, String(broker.xmppPort)], { timeout: 55_000 })
  const meanwhile = ['meanwhile 0', 'meanwhile 1', 'meanwhile 2']
  expect(JSON.parse(stdout)).toEqual({
    'archive is offered': true,
    received: 'from the phone',
    'copy of sent': 'from the phone',
    answer: 'to the phone',
    'copy of received': 'to the phone',
    'after the resumption': meanwhile,
    back: 'back again',
    archive: ['from the phone', 'to the phone', ...meanwhile, 'back again'],
    'archive backwards': true,
    'one id for both': true,
  })
})
