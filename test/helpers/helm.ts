// The real helm, and kubeconform, on the repository's chart.
import { execFile, spawnSync } from 'node:child_process'
import { homedir } from 'node:os'
import { delimiter, join } from 'node:path'
import { promisify } from 'node:util'
import { parseAllDocuments } from 'yaml'
import { root } from './process.ts'

type Mapping = Readonly<Record<string, unknown>>

export type Manifest = Readonly<{
  kind: string
  metadata: Readonly<{ name: string; labels: Readonly<Record<string, string>>; annotations?: Mapping }>
  spec: Mapping
  data: Readonly<Record<string, string>>
}>

export type Ended = Readonly<{ code: number | null; output: string }>

export const chart = join(root, 'helm/clearbox')

/** `external` → the values of helm/clearbox/ci/external-values.yaml. */
export const valuesOf = (name: string) => ['--values', join(chart, `ci/${name}-values.yaml`)]

/** Where scripts/chart-tools.sh puts what it installs. */
const tools =
  process.env.CHART_TOOLS ?? join(process.env.XDG_CACHE_HOME ?? join(homedir(), '.cache'), 'clearbox-chart-tools')

const environment = { ...process.env, PATH: [join(tools, 'bin'), process.env.PATH].join(delimiter) }

export const helm = (...args: readonly string[]): Ended => run('helm', args)

/** What helm writes, while this process answers as its cluster. @throws Error with what helm said */
export async function helmBeside(...args: readonly string[]): Promise<string> {
  const { stdout } = await promisify(execFile)('helm', args, { env: environment }).catch((fault: unknown) => {
    throw (fault as NodeJS.ErrnoException).code === 'ENOENT' ? missing('helm', fault) : fault
  })
  return stdout
}

/** What helm would give to the cluster. @throws Error with what helm said */
export function renderText(...args: readonly string[]): string {
  const { code, output } = helm('template', 'chat', chart, '--namespace', 'talk', ...args)
  if (code !== 0) throw new Error(output)
  return output
}

/** @throws Error with what helm said, or when it is no YAML */
export function render(...args: readonly string[]): readonly Manifest[] {
  return parseAllDocuments(renderText(...args)).map((document) => {
    if ('errors' in document && document.errors.length > 0) throw new Error(String(document.errors[0]))
    return (document as { toJS(): Manifest }).toJS()
  })
}

/** Judges manifests by the schemas of Kubernetes; what it does not know is a fault. */
export function kubeconform(manifests: string): Ended {
  const schemas = join(tools, 'kubernetes', '{{.ResourceKind}}{{.KindSuffix}}.json')
  return run('kubeconform', ['-strict', '-skip', 'ServiceMonitor', '-schema-location', schemas, '-'], manifests)
}

function run(program: string, args: readonly string[], input = ''): Ended {
  const { error, status, stdout, stderr } = spawnSync(program, args, { encoding: 'utf8', env: environment, input })
  if (error) throw missing(program, error)
  return { code: status, output: stdout + stderr }
}

function missing(program: string, cause: unknown): Error {
  return new Error(`${program} is missing: run scripts/chart-tools.sh`, { cause })
}
