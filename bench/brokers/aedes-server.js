// node aedes-server.js PORT PASSWORDS.json: the peer's own process, plain JavaScript so that nothing is compiled in it.
import { createHash, timingSafeEqual } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { Aedes } from 'aedes'

const [port, passwordFile] = process.argv.slice(2)
/** @type {{ username: string, password: string }[]} */
const logins = JSON.parse(readFileSync(passwordFile ?? '', 'utf8'))
const hashes = new Map(logins.map(({ username, password }) => [username, hash(password)]))

/** @param {string | Buffer} password */
function hash(password) {
  return createHash('sha256').update(password).digest()
}

/** @param {string} topic */
function mayUse(topic) {
  return topic.startsWith('bench/') || topic === '#'
}

const aedes = await Aedes.createBroker({
  authenticate(_client, username, password, done) {
    const expected = hashes.get(username ?? '')
    done(null, expected !== undefined && timingSafeEqual(expected, hash(password ?? '')))
  },
  authorizePublish(_client, { topic }, done) {
    done(mayUse(topic) ? null : new Error('not allowed'))
  },
  authorizeSubscribe(_client, subscription, done) {
    done(null, mayUse(subscription.topic) ? subscription : null)
  },
})
createServer({ noDelay: true }, aedes.handle).listen(Number(port), '127.0.0.1')
process.once('SIGTERM', () => process.exit(0))
