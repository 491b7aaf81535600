// Reads a Dockerfile: the instructions that ours uses. What it does not know is a fault, never skipped.

export type Instruction = Readonly<{ keyword: string; rest: string }>

export type Stage = Readonly<{ base: string; name: string; instructions: readonly Instruction[] }>

const known = /^(ARG|CMD|COPY|ENTRYPOINT|ENV|EXPOSE|FROM|HEALTHCHECK|LABEL|RUN|USER|VOLUME|WORKDIR)$/

/** @throws Error for an instruction that is not known here */
export function readDockerfile(text: string): readonly Stage[] {
  const globals = new Map<string, string>()
  const stages: { base: string; name: string; instructions: Instruction[] }[] = []
  for (const instruction of readInstructions(text)) {
    const { keyword, rest } = instruction
    const stage = stages.at(-1)
    if (keyword === 'FROM') {
      const [base = '', , name = String(stages.length)] = substitute(rest, globals).split(/\s+/)
      stages.push({ base, name, instructions: [] })
    } else if (stage !== undefined) stage.instructions.push(instruction)
    else if (keyword === 'ARG') globals.set(...readAssignment(rest))
    else throw new Error(`${keyword} before FROM`)
  }
  return stages
}

function readInstructions(text: string): Instruction[] {
  const lines = text.split('\n').filter((line) => line.trim() !== '' && !line.trimStart().startsWith('#'))
  const joined = lines.join('\n').replaceAll(/\\\n/g, ' ')
  return joined.split('\n').map((line) => {
    const [, keyword = '', rest = ''] = /^([A-Z]+)\s+(.*)$/.exec(line) ?? []
    if (!known.test(keyword)) throw new Error(`The Dockerfile has a line that is not known here: ${line}`)
    return { keyword, rest: rest.trim() }
  })
}

/** `A=1 B="two words"`, as in ENV and LABEL. */
export function readAssignments(text: string): [string, string][] {
  return [...text.matchAll(/([\w.-]+)=("[^"]*"|\S+)/g)].map(([, name = '', value = '']) => [
    name,
    value.replace(/^"(.*)"$/, '$1'),
  ])
}

/** ARG: a name, with a default or without one. */
export function readAssignment(text: string): [string, string] {
  const [name = '', value = ''] = text.split('=')
  return [name, value]
}

export function substitute(text: string, values: ReadonlyMap<string, string>): string {
  return text.replaceAll(/\$\{(\w+)\}/g, (_all, name: string) => values.get(name) ?? '')
}

/** The exec form, which needs no shell. @throws Error for the other */
export function readExec(text: string): readonly string[] {
  const list: unknown = JSON.parse(text)
  if (Array.isArray(list) && list.every((item) => typeof item === 'string')) return list
  throw new Error(`expected a list of strings: ${text}`)
}

/** Whether `.dockerignore` lets a path of the context in: ours is `*` and a list of exceptions. */
export function createContextFilter(text: string): (path: string) => boolean {
  const lines = text.split('\n').filter((line) => line.trim() !== '' && !line.startsWith('#'))
  const [first, ...exceptions] = lines
  if (first !== '*' || exceptions.some((line) => !/^![\w./-]+$/.test(line))) {
    throw new Error('expected .dockerignore to be * and a list of exceptions')
  }
  const allowed = exceptions.map((line) => line.slice(1))
  return (path) => allowed.some((name) => path === name || path.startsWith(`${name}/`))
}
