// RFC 9110 §15.5.5, §15.5.6: no such path, or another method there.
import type { FastifyReply, FastifyRequest } from 'fastify'
import { BrokerError } from '../broker/errors.ts'
import type { App } from './app.ts'
import { ofStatus, sendProblem, toProblem } from './problem.ts'

type Place = Readonly<{ parts: readonly string[]; methods: Set<string> }>

/** Knows the routes that are registered after it: 405 with Allow where another method would do, else 404. */
export function createNotFound(app: App) {
  const places = new Map<string, Place>()

  app.addHook('onRoute', ({ url, method }) => {
    const place = places.get(url) ?? { parts: url.split('/'), methods: new Set<string>() }
    places.set(url, place)
    for (const each of [method].flat()) place.methods.add(each)
  })

  return (request: FastifyRequest, reply: FastifyReply): FastifyReply => {
    const path = (request.url.split('?', 1)[0] ?? '').split('/')
    const found = [...places.values()].filter(({ parts }) => isAt(parts, path))
    const allowed = [...new Set(found.flatMap(({ methods }) => [...methods]))].sort()
    if (allowed.length === 0 || allowed.includes(request.method)) {
      return sendProblem(reply, toProblem(new BrokerError('not-found')))
    }
    reply.header('allow', allowed.join(', '))
    return sendProblem(reply, ofStatus(405, `This takes ${allowed.join(' and ')}.`))
  }
}

/** `parts` may have parameters, and a `*` for any rest. */
function isAt(parts: readonly string[], path: readonly string[]): boolean {
  if (parts.at(-1) !== '*' && parts.length !== path.length) return false
  return parts.every((part, at) => part === '*' || (part.startsWith(':') ? path[at] !== '' : part === path[at]))
}
