// POST /v1/messages: what a chat message over REST costs.
import { z } from 'zod'
import { chatLogins, type Login, portOf, type RunningBroker } from '../brokers/broker.ts'
import { type Answer, HttpClient, postHead } from '../http-client.ts'
import { steady } from '../meter.ts'
import { type Figures, othersRow, type Scenario } from './scenario.ts'

const connections = 100
const filler = 'x'.repeat(53)

export const httpMessages: Scenario = {
  name: 'http-messages',
  about: `POST /v1/messages over ${connections} keep-alive connections, each of an account of its own that writes 64 bytes of text to a partner who is not connected; the next request follows the answer. Every 201 means stored.`,
  rows: [
    { figure: 'perCpuSecond', label: 'messages per CPU second, broker and database in all', unit: '/s' },
    { figure: 'brokerUs', label: 'broker CPU per message', unit: 'µs' },
    { figure: 'databaseUs', label: 'database CPU per message', unit: 'µs' },
    { figure: 'generatorUs', label: 'generator CPU per message', unit: 'µs' },
    { figure: 'rate', label: 'messages per second', unit: '/s' },
    { figure: 'brokerBusy', label: 'broker, share of its CPU', unit: '%' },
    othersRow,
  ],
  peers: [],
  run,
}

type State = { going: boolean; stored: number; refusal: string | null }

async function run(broker: RunningBroker, seconds: number): Promise<Figures> {
  const state: State = { going: true, stored: 0, refusal: null }
  const clients: HttpClient[] = []
  for (const [index, login] of chatLogins.slice(0, connections).entries()) {
    const client = await HttpClient.open(portOf(broker, 'http'))
    clients.push(client)
    const token = await logIn(client, login)
    const to = chatLogins[connections + index]?.username ?? ''
    writeOn(client, postHead({ path: '/v1/messages', headers: { authorization: `Bearer ${token}` } }), to, state)
  }
  const figures = await steady(broker, seconds, () => state.stored)
  state.going = false
  const ended = state.refusal ?? clients.find((client) => client.ended !== null)?.ended
  if (ended != null) throw new Error(ended)
  for (const client of clients) client.close()
  const { costUs = Number.NaN } = figures
  return { ...figures, perCpuSecond: 1e6 / costUs }
}

const tokens = z.object({ accessToken: z.string() })

async function logIn(client: HttpClient, login: Login): Promise<string> {
  const head = postHead({ path: '/v1/auth/login' })
  const { status, body } = await new Promise<Answer>((resolve) => client.post(head, JSON.stringify(login), resolve))
  if (status !== 200) throw new Error(`the login was answered ${status}: ${body}`)
  return tokens.parse(JSON.parse(body)).accessToken
}

/** One message after the other, until the state says stop or one is refused. */
function writeOn(client: HttpClient, head: string, to: string, state: State): void {
  let sequence = 0
  const next = (): void => {
    if (!state.going) return
    const text = `${String(sequence++).padStart(10, '0')} ${filler}`
    client.post(head, `{"to":"${to}","text":"${text}"}`, onAnswer)
  }
  const onAnswer = ({ status, body }: Answer): void => {
    if (status === 201) {
      state.stored++
      next()
    } else state.refusal ??= `a message was answered ${status}: ${body}`
  }
  next()
}
