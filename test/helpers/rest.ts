// A client of the REST interface, as a test wants one: status, headers and JSON of every answer.

export type Answer = Readonly<{
  status: number
  headers: Headers
  type: string
  text: string
  json: Record<string, unknown>
}>

export type Rest = Readonly<{
  get(path: string, headers?: Record<string, string>): Promise<Answer>
  /** A string goes out as it is, anything else as JSON. */
  post(path: string, body: unknown, headers?: Record<string, string>): Promise<Answer>
  send(method: string, path: string, headers?: Record<string, string>, body?: string): Promise<Answer>
}>

export function createRest(base: string, always: Record<string, string> = {}): Rest {
  async function send(method: string, path: string, headers = {}, body?: string): Promise<Answer> {
    const response = await fetch(base + path, {
      method,
      headers: { ...always, ...headers },
      ...(body !== undefined && { body }),
    })
    const text = await response.text()
    const type = response.headers.get('content-type')?.split(';')[0] ?? ''
    const json = type.endsWith('json') ? (JSON.parse(text) as Record<string, unknown>) : {}
    return { status: response.status, headers: response.headers, type, text, json }
  }
  return {
    send,
    get: (path, headers) => send('GET', path, headers),
    post: (path, body, headers) =>
      send(
        'POST',
        path,
        { 'content-type': 'application/json', ...headers },
        typeof body === 'string' ? body : JSON.stringify(body),
      ),
  }
}

/** A client that is logged in. */
export async function logIn(base: string, who: Readonly<{ name: string; password: string }>): Promise<Rest> {
  const { json } = await createRest(base).post('/v1/auth/login', { username: who.name, password: who.password })
  return createRest(base, { authorization: `Bearer ${json.accessToken}` })
}
