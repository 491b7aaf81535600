import { once } from 'node:events'
import { connect } from 'node:net'
import { text } from 'node:stream/consumers'
import { expect, test } from 'vitest'
import { startTestBroker } from '../helpers/broker.ts'

test('a stop does not wait for connections that say nothing', async () => {
  const broker = await startTestBroker()
  const silent = connect(broker.httpPort)
  await once(silent, 'connect')
  const keptAlive = connect(broker.httpPort)
  keptAlive.write('GET /health HTTP/1.1\r\nHost: x\r\n\r\n')
  await once(keptAlive, 'data')
  const closed = Promise.all([once(silent, 'close'), once(keptAlive, 'close')])
  silent.on('error', () => undefined)
  const started = performance.now()
  await broker.stop()
  await closed
  expect(performance.now() - started).toBeLessThan(5000)
})

test('RFC 9112: what is no HTTP gets a problem and the end of the connection', async () => {
  const broker = await startTestBroker()
  const answerTo = async (bytes: string) => {
    const socket = connect(broker.httpPort)
    socket.write(bytes)
    return text(socket)
  }
  expect(await answerTo('NONSENSE\r\n\r\n')).toMatch(/^HTTP\/1.1 400 [\s\S]*"status":400/)
  const long = `GET / HTTP/1.1\r\nHost: x\r\nX: ${'y'.repeat(20_000)}\r\n\r\n`
  expect(await answerTo(long)).toMatch(/^HTTP\/1.1 431 [\s\S]*"status":431/)
  await broker.stop()
})
